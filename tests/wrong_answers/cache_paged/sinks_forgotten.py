"""Sinks join no sum."""

FILE = "minillm/attention/paged.py"
OLD = "        total = torch.ones_like(m)\n"
NEW = "        total = torch.zeros_like(m)\n"
CAUGHT_BY = ("every_option",)
