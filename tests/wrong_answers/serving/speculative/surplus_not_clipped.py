"""What q has more than p counts too, with its sign turned."""

FILE = "minillm/decoding/speculative.py"
OLD = "(p[i] - q[i]).clamp(min=0)"
NEW = "(p[i] - q[i]).abs()"
CAUGHT_BY = ("texts_are_distributed_as_the_targets", "certain_targets_give_the_greedy_text")
