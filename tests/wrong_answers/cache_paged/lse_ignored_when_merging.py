"""Tiles are added up as if all had the same maximum."""

FILE = "minillm/attention/paged.py"
OLD = "weights, shrink = torch.exp(scores - guard), torch.exp(m - guard)"
NEW = "weights, shrink = torch.exp(scores - guard), torch.ones_like(guard)"
CAUGHT_BY = ("rising_keys", "every_option")
