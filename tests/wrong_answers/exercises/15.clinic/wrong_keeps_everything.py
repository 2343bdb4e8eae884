"""Keeps the whole text, and searches it from the start."""

LAYER = "resources"


class answer:
    def __init__(self, stops):
        self.stops, self.text, self.shown, self.stopped = stops, "", 0, False

    def push(self, piece):
        if self.stopped:
            return ""
        self.text += piece
        found = [self.text.find(stop) for stop in self.stops if stop in self.text]
        self.stopped = bool(found)
        held = max((n for stop in self.stops for n in range(1, len(stop)) if self.text.endswith(stop[:n])), default=0)
        end = min(found) if found else len(self.text) - held
        new, self.shown = self.text[self.shown : end], end
        return new

    def finish(self):
        return "" if self.stopped else self.text[self.shown :]
