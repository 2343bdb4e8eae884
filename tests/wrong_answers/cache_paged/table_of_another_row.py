"""Texts attended to together take the pages of the longest."""

FILE = "minillm/attention/paged_plan.py"
OLD = "            blocks = text.block_ids[first : -(-text.keys // self.P)]"
NEW = "            blocks = self.texts[-1].block_ids[first : -(-text.keys // self.P)]"
CAUGHT_BY = ("values", "every_family")
