"""Holds as much as a stop string is long."""

LAYER = "properties"


class answer:
    def __init__(self, stops):
        self.stops, self.held, self.stopped = stops, "", False

    def push(self, piece):
        if self.stopped:
            return ""
        self.held += piece
        found = [self.held.find(stop) for stop in self.stops if stop in self.held]
        if found:
            shown, self.held, self.stopped = self.held[: min(found)], "", True
            return shown
        show = max(0, len(self.held) - max((len(stop) - 1 for stop in self.stops), default=0))
        shown, self.held = self.held[:show], self.held[show:]
        return shown

    def finish(self):
        shown, self.held = self.held, ""
        return shown
