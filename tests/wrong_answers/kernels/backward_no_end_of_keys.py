"""A tile of keys that the end cuts short counts its padding."""

FILE = "kernels/flash_backward.py"
OLD = "visible = mask_s[None, :]"
NEW = "visible = offs_s[None, :] >= 0"
CAUGHT_BY = ("ragged_end",)
