"""The padding of a row takes part as score 0."""

FILE = "kernels/softmax.py"
OLD = 'mask=mask, other=-float("inf")'
NEW = "mask=mask, other=0.0"
CAUGHT_BY = ("values", "rows_sum_to_one", "extreme_logits")
