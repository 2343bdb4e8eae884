"""Only the newest piece of text is searched for stop strings."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "places = (self._held.find(s, max(0, self._decided - len(s) + 1)) for s in self.stops)"
NEW = "places = (self._held.find(s, max(0, len(self._held) - 1)) for s in self.stops)"
CAUGHT_BY = ("stop_strings_never_leak",)
