"""The running sum is not rescaled when the maximum grows."""

FILE = "kernels/softmax.py"
OLD = "l = l * exp(m - m_safe) + tl.sum"
NEW = "l = l + tl.sum"
CAUGHT_BY = ("values", "extreme_logits")
