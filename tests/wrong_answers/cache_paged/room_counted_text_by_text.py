"""Each text alone would fit, so all are let in."""

FILE = "minillm/cache/paged.py"
OLD = "    total = sum(t.blocks_needed(n) for t, n in zip(tables, counts, strict=True))"
NEW = "    total = max(t.blocks_needed(n) for t, n in zip(tables, counts, strict=True))"
CAUGHT_BY = ("nothing_is_taken_in_vain",)
