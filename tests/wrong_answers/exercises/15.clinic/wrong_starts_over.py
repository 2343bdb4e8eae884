"""When a beginning fails, it starts over behind it."""

LAYER = "values"


class answer:
    def __init__(self, stops):
        self.stops, self.held, self.stopped = stops, "", False

    def push(self, piece):
        shown = ""
        for letter in piece:
            if self.stopped:
                break
            self.held += letter
            if self.held in self.stops:
                self.held, self.stopped = "", True
            elif not any(stop.startswith(self.held) for stop in self.stops):
                shown, self.held = shown + self.held, ""
        return shown

    def finish(self):
        shown, self.held = self.held, ""
        return shown
