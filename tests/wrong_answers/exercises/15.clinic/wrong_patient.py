"""The patient."""

LAYER = "values"


class answer:
    def __init__(self, stops):
        self.stops, self.text, self.shown, self.stopped = stops, "", 0, False

    def push(self, piece):
        self.text += piece
        end = len(self.text)
        for stop in self.stops:
            if stop in self.text:
                end, self.stopped = self.text.index(stop), True
        new, self.shown = self.text[self.shown : end], end
        return new

    def finish(self):
        return ""
