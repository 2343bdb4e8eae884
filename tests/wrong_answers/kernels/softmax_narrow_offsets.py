"""Row offsets in int32, which end at 2**31 elements."""

FILE = "kernels/softmax.py"
OLD = "row = tl.cast(tl.program_id(0), tl.int64)"
NEW = "row = tl.program_id(0)"
CAUGHT_BY = ("wide_offsets",)
