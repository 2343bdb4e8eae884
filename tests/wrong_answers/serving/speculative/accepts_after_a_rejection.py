"""A rejected draft is replaced and the drafts behind it are kept."""

FILE = "minillm/decoding/speculative.py"
OLD = "        return [*draft_ids[:i], draw(surplus if surplus.sum() > 0 else p[i], noises[-1])]"
NEW = "        token = draw(surplus if surplus.sum() > 0 else p[i], noises[-1])\n        return [*draft_ids[:i], token, *draft_ids[i + 1 :]]"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "certain_targets_give_the_greedy_text")
