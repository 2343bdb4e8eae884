"""The draft model is asked for a position that it has one token too few for."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.most_positions - request.num_tokens + 1)"
NEW = "self.most_positions - request.num_tokens)"
CAUGHT_BY = ("a_draft_that_sees_less_far_is_silent_there",)
