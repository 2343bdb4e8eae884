"""dv so far is kept in the input's dtype: each tile costs a rounding."""

FILE = "kernels/flash_backward.py"
OLD = "dv = tl.dot(p_t.to(dout.dtype), dout, dv, input_precision=PRECISION)"
NEW = "dv = tl.dot(p_t.to(dout.dtype), dout, dv, input_precision=PRECISION).to(dout.dtype).to(tl.float32)"
CAUGHT_BY = ("half_precision",)
