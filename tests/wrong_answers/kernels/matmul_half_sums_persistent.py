"""The persistent kernel keeps its running sum in the operands' precision."""

FILE = "kernels/matmul.py"
OLD = "            acc = tl.dot(a, b, acc, input_precision=PRECISION)"
NEW = "            acc = tl.dot(a, b, acc, input_precision=PRECISION).to(a.dtype).to(tl.float32)"
CAUGHT_BY = ("long_sums",)
