"""First and last block fit, so the ones between are taken to lie in a row."""

FILE = "minillm/attention/paged_plan.py"
OLD = "    return blocks[-1] - first == count - 1 and list(blocks) == list(range(first, first + count))"
NEW = "    return blocks[-1] - first == count - 1"
CAUGHT_BY = ("blocks_in_a_row",)
