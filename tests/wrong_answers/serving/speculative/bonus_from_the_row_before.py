"""The bonus is drawn from the row that judged the last draft."""

FILE = "minillm/decoding/speculative.py"
OLD = "draw(p[-1], noises[-1])]"
NEW = "draw(p[max(len(p) - 2, 0)], noises[-1])]"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "certain_targets_give_the_greedy_text")
