"""The last token is given a position."""

FILE = "minillm/serving/beams.py"
OLD = "longest + rules.max_tokens - 1 > room"
NEW = "longest + rules.max_tokens > room"
CAUGHT_BY = ("odd_calls_are_refused_before_any_work",)
