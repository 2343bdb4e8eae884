"""The token after the last draft is drawn from the draft's row."""

FILE = "minillm/decoding/speculative.py"
OLD = "draw(p[-1], noises[-1])]"
NEW = "draw(q[-1] if len(q) else p[-1], noises[-1])]"
CAUGHT_BY = ("texts_are_distributed_as_the_targets",)
