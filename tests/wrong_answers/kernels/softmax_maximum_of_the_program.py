"""One maximum for all rows of a program: harmless until rows differ by much."""

FILE = "kernels/softmax.py"
OLD = "m = finite_or_zero(tl.max(x, 1))  # (ROWS,)"
NEW = "m = finite_or_zero(tl.max(x, 1) * 0.0 + tl.max(tl.max(x, 1), 0))"
CAUGHT_BY = ("extreme_logits", "poison_stays_in_its_row")
