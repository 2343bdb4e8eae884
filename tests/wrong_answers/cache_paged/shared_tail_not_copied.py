"""A fork gets a new block for its half-full one, and nothing is copied into it."""

FILE = "minillm/cache/paged.py"
OLD = "        for x in self._tensors:\n            x[:, targets] = x[:, sources]"
NEW = "        for x in self._tensors:\n            x[:, targets] = x[:, targets]"
CAUGHT_BY = ("forks_part",)
