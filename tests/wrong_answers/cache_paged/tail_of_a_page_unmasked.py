"""The end of a short text's last page counts as keys: zeros, each with a weight."""

FILE = "minillm/attention/paged_plan.py"
OLD = "hidden = (slots < self.start[:, None]) | (slots >= self.stop[:, None])"
NEW = "hidden = (slots < self.start[:, None]) | (slots >= self.stop[:, None] // self.P * self.P + self.P)"
CAUGHT_BY = ("values", "every_family")
