"""Every draft that happens to agree is kept, also behind one that did not."""

FILE = "minillm/decoding/speculative.py"
OLD = "    return list(chosen[: kept + 1])"
NEW = "    return list(chosen[: sum(a == b for a, b in zip(draft_ids, chosen)) + 1])"
CAUGHT_BY = ("drafts_are_kept_up_to_the_first_that_differs",)
