"""Texts with drafts are scored at their last token only."""

FILE = "minillm/serving/compute/worker.py"
OLD = "share.samples and not share.num_drafts for share in shares"
NEW = "share.samples for share in shares"
CAUGHT_BY = ("random_days",)
