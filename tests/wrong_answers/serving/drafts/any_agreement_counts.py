"""Drafts that agree behind one that did not count as read."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "right = next((i for i, (a, b) in enumerate(zip(self.drafts, written, strict=False)) if a != b), len(written))"
NEW = "right = sum(a == b for a, b in zip(self.drafts, written, strict=False))"
CAUGHT_BY = ("proposals_are_the_models_own_whatever_is_kept",)
