"""dq is multiplied by the scale on every tile, and by it again at the end."""

FILE = "kernels/flash_backward.py"
OLD = "        ds = p * (dp - delta[:, None])\n"
NEW = "        ds = p * (dp - delta[:, None]) * scale\n"
CAUGHT_BY = ("values",)
