"""The noise that rejected a draft also draws the token in its place."""

FILE = "minillm/decoding/speculative.py"
OLD = "draw(surplus if surplus.sum() > 0 else p[i], noises[-1])"
NEW = "draw(surplus if surplus.sum() > 0 else p[i], noise)"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "verdicts_do_not_choose_the_token")
