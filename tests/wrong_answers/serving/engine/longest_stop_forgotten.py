"""Of several beginnings the shortest is held."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "return max((n for s in self.stops"
NEW = "return min((n for s in self.stops"
CAUGHT_BY = ("stop_strings_never_leak",)
