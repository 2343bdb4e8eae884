"""What could begin a stop string is shown at once."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "keep = 0 if last else self._could_begin()"
NEW = "keep = 0"
CAUGHT_BY = (
    "stop_strings_never_leak",
    "random_days",
)
