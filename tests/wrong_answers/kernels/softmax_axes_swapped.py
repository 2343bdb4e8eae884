"""The two inner leading axes change places."""

FILE = "kernels/softmax.py"
OLD = "rest // inner * stride_middle + rest % inner * stride_inner"
NEW = "rest % inner * stride_middle + rest // inner * stride_inner"
CAUGHT_BY = ("strides",)
