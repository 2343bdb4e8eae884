"""The sinks' gradient has the sign of a key's that has a value."""

FILE = "minillm/attention/tiled_backward.py"
OLD = "return -(share * delta).sum((0, 2))"
NEW = "return (share * delta).sum((0, 2))"
CAUGHT_BY = ("sinks_and_lse",)
