"""A freed block that can still be found is filled with NaN."""

FILE = "minillm/cache/paged.py"
OLD = " and self.pool.key_of(b) is None]"
NEW = "]"
CAUGHT_BY = ("prefix_hits",)
