"""One noise speaks every verdict."""

FILE = "minillm/decoding/speculative.py"
OLD = "        if noise * q[i, draft]"
NEW = "        if noises[0] * q[i, draft]"
CAUGHT_BY = ("verdicts_do_not_choose_the_token",)
