"""Of the rejected drafts the first stays in the cache."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.known + right, len(tokens) - 1"
NEW = "self.known + right + 1, len(tokens) - 1"
CAUGHT_BY = ("proposals_are_the_models_own_whatever_is_kept",)
