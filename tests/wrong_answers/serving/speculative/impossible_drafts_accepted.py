"""A draft that its own distribution excludes is always kept."""

FILE = "minillm/decoding/speculative.py"
OLD = "        if not q[i, draft] > 0:"
NEW = "        if not q[i, draft] >= 0:"
CAUGHT_BY = ("samplers_refuse_what_does_not_fit",)
