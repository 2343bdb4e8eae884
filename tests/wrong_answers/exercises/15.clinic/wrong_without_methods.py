"""Has no finish."""

LAYER = "contract"


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
        beginnings = (n for stop in self.stops for n in range(1, len(stop)) if self.held.endswith(stop[:n]))
        show = len(self.held) - max(beginnings, default=0)
        shown, self.held = self.held[:show], self.held[show:]
        return shown
