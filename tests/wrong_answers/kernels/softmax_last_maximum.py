"""The second pass subtracts each tile's own maximum."""

FILE = "kernels/softmax.py"
OLD = "        out = exp(x - m) / l"
NEW = "        out = exp(x - finite_or_zero(tl.max(x, 0))) / l"
CAUGHT_BY = ("values", "extreme_logits")
