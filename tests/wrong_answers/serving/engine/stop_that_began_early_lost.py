"""A stop string that began within min_tokens and ended later is not seen."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "max(0, self._decided - len(s) + 1)"
NEW = "self._decided"
CAUGHT_BY = ("stop_strings_never_leak",)
