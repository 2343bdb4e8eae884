"""Heads after the first of a group take its lse and delta."""

FILE = "kernels/flash_backward.py"
OLD = "row = member * L + offs_l"
NEW = "row = offs_l"
CAUGHT_BY = ("grouped_heads",)
