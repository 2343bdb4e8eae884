"""The running sum is kept in half precision."""

FILE = "kernels/matmul.py"
OLD = "        acc = tl.dot(a, b, acc, input_precision=PRECISION)\n        a_ptrs"
NEW = "        acc = tl.dot(a, b, acc, input_precision=PRECISION).to(tl.float16).to(tl.float32)\n        a_ptrs"
CAUGHT_BY = ("values", "long_sums")
