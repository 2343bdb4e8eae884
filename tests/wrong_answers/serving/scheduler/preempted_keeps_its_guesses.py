"""A text that lost its blocks keeps its guesses, and they are verified behind other tokens."""

FILE = "minillm/serving/schedule/step.py"
OLD = 'request.status, request.num_computed_tokens, request.draft_token_ids = "waiting", 0, []'
NEW = 'request.status, request.num_computed_tokens = "waiting", 0'
CAUGHT_BY = ("random_days",)
