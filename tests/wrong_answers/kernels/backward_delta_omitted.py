"""Each score's gradient is p * dp: the row's average, which softmax takes off, is forgotten."""

FILE = "kernels/flash_backward.py"
OLD = "ds_t = p_t * (dp_t - delta[None, :])"
NEW = "ds_t = p_t * dp_t"
CAUGHT_BY = ("values",)
