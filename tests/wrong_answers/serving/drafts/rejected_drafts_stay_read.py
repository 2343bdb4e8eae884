"""What was read of rejected drafts stays in the cache."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.known + right, len(tokens) - 1"
NEW = "self.known + len(self.drafts), len(tokens) - 1"
CAUGHT_BY = ("proposals_are_the_models_own_whatever_is_kept",)
