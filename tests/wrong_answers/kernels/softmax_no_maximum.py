"""Nothing is subtracted, so large scores overflow and small ones vanish."""

FILE = "kernels/softmax.py"
OLD = "m = finite_or_zero(tl.max(x, 1))  # (ROWS,)"
NEW = "m = tl.max(x, 1) * 0.0"
CAUGHT_BY = ("extreme_logits",)
