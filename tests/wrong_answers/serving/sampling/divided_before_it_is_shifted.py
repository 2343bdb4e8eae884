"""A tiny temperature overflows."""

FILE = "minillm/decoding/support.py"
OLD = "    shifted = scores - scores.amax(dim=-1, keepdim=True)\n"
NEW = "    shifted = scores.clone()\n"
CAUGHT_BY = ("extreme_scores_and_temperatures_have_limits",)
