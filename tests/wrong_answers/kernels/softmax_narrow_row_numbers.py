"""Row numbers in int32 before they are multiplied."""

FILE = "kernels/softmax.py"
OLD = "rows = tl.cast(tl.program_id(0), tl.int64) * ROWS"
NEW = "rows = tl.program_id(0) * ROWS"
CAUGHT_BY = ("wide_offsets",)
