"""The penalties of a token behind drafts don't see the drafts."""

FILE = "minillm/serving/writing/answer.py"
OLD = "output = [*request.output_token_ids, *draft_ids]"
NEW = "output = [*request.output_token_ids]"
CAUGHT_BY = ("random_days",)
