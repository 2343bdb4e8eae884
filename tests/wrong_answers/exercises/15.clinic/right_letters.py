"""Takes a letter at a time, so it stops at the first that is complete."""


class answer:
    def __init__(self, stops):
        self.stops, self.held, self.stopped = tuple(stops), "", False

    def push(self, piece):
        return "".join(map(self.letter, piece))

    def letter(self, letter):
        if self.stopped:
            return ""
        self.held += letter
        ended = [stop for stop in self.stops if self.held.endswith(stop)]
        if ended:
            shown, self.held, self.stopped = self.held[: -max(map(len, ended))], "", True
            return shown
        start = 0
        while start < len(self.held) and not any(stop.startswith(self.held[start:]) for stop in self.stops):
            start += 1
        shown, self.held = self.held[:start], self.held[start:]
        return shown

    def finish(self):
        held, self.held = self.held, ""
        return held
