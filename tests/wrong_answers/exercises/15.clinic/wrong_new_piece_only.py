"""Looks into the newest piece only."""

LAYER = "values"


class answer:
    def __init__(self, stops):
        self.stops, self.stopped = stops, False

    def push(self, piece):
        if self.stopped:
            return ""
        found = [piece.find(stop) for stop in self.stops if stop in piece]
        self.stopped = bool(found)
        return piece[: min(found)] if found else piece

    def finish(self):
        return ""
