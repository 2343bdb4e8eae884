"""The drafts of the last step are proposed once more in front of the new ones."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.known, self.drafts, self.wanted = len(tokens), [], wanted"
NEW = "self.known, self.wanted = len(tokens), wanted"
CAUGHT_BY = ("proposals_are_the_models_own_whatever_is_kept",)
