"""The rejected draft stays, and the drawn token follows it."""

FILE = "minillm/decoding/speculative.py"
OLD = "return [*draft_ids[:i], draw(surplus"
NEW = "return [*draft_ids[: i + 1], draw(surplus"
CAUGHT_BY = (
    "texts_are_distributed_as_the_targets",
    "certain_targets_give_the_greedy_text",
    "verdicts_do_not_choose_the_token",
)
