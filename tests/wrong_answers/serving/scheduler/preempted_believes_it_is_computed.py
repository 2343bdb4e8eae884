"""A text that lost its blocks thinks that it is computed still."""

FILE = "minillm/serving/schedule/step.py"
OLD = 'request.status, request.num_computed_tokens, request.draft_token_ids = "waiting", 0, []'
NEW = 'request.status, request.draft_token_ids = "waiting", []'
CAUGHT_BY = (
    "the_newest_gives_its_blocks_back",
    "random_days",
)
