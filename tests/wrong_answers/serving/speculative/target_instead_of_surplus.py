"""A rejected place is drawn from p itself: tokens that q likes are too many."""

FILE = "minillm/decoding/speculative.py"
OLD = "surplus if surplus.sum() > 0 else p[i]"
NEW = "p[i]"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "verdicts_do_not_choose_the_token")
