"""Copy-on-write copies a block of the first layer only."""

FILE = "minillm/cache/paged.py"
OLD = "            x[:, targets] = x[:, sources]"
NEW = "            x[:1, targets] = x[:1, sources]"
CAUGHT_BY = ("forks_part",)
