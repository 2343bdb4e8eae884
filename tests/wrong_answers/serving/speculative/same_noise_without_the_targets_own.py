"""The target's own token behind the kept drafts is lost."""

FILE = "minillm/decoding/speculative.py"
OLD = "    return list(chosen[: kept + 1])"
NEW = "    return list(chosen[: max(kept, 1)])"
CAUGHT_BY = ("drafts_are_kept_up_to_the_first_that_differs",)
