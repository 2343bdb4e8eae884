"""Heads take their scales in the wrong order."""

FILE = "minillm/attention/pages.py"
OLD = "out.mul_(self.scale[..., None])"
NEW = "out.mul_(self.scale.flip(2)[..., None])"
CAUGHT_BY = ("eight_bits",)
