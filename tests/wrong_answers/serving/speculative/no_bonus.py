"""When all drafts are kept the pass's last row is thrown away."""

FILE = "minillm/decoding/speculative.py"
OLD = "    return [*draft_ids, draw(p[-1], noises[-1])]"
NEW = "    return [*draft_ids] or [draw(p[-1], noises[-1])]"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "certain_targets_give_the_greedy_text")
