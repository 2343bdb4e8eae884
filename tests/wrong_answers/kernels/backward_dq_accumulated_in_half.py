"""dq so far is kept in the input's dtype: each tile costs a rounding."""

FILE = "kernels/flash_backward.py"
OLD = "dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)"
NEW = "dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION).to(k.dtype).to(tl.float32)"
CAUGHT_BY = ("half_precision",)
