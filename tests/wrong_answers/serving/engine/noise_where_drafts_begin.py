"""A token behind drafts is drawn by the noise of the token before them."""

FILE = "minillm/serving/writing/answer.py"
OLD = "position = request.num_output_tokens + len(draft_ids)"
NEW = "position = request.num_output_tokens"
CAUGHT_BY = ("random_days",)
