"""Drafts are kept with probability min(1, q / p)."""

FILE = "minillm/decoding/speculative.py"
OLD = "noise * q[i, draft] < p[i, draft]"
NEW = "noise * p[i, draft] < q[i, draft]"
CAUGHT_BY = (
    "texts_are_distributed_as_the_targets",
    "verdicts_do_not_choose_the_token",
    "certain_targets_give_the_greedy_text",
)
