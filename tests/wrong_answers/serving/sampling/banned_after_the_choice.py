"""Banned tokens are not banned."""

FILE = "minillm/decoding/sampling.py"
OLD = "            forbid(scores[row], choice.banned)\n"
NEW = "            pass\n"
CAUGHT_BY = ("penalties_follow_their_definitions",)
