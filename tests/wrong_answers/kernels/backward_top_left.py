"""In the walk over queries the first query stands at the first key."""

FILE = "kernels/flash_backward.py"
OLD = "            positions = offs_l + S - L"
NEW = "            positions = offs_l"
CAUGHT_BY = ("values",)
