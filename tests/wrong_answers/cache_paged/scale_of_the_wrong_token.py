"""Each token is widened by the scale of the one before it."""

FILE = "minillm/attention/pages.py"
OLD = "out.mul_(self.scale[..., None])"
NEW = "out.mul_(self.scale.roll(1, dims=1)[..., None])"
CAUGHT_BY = ("eight_bits",)
