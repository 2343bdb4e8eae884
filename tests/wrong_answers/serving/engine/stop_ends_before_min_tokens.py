"""Stop strings end a text before min_tokens."""

FILE = "minillm/serving/writing/text_stream.py"
OLD = "        if self._free_tokens:\n"
NEW = "        if False:\n"
CAUGHT_BY = (
    "stop_strings_never_leak",
    "random_days",
)
