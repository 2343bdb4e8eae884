"""The prompt's tokens are not counted."""

FILE = "minillm/decoding/sampling.py"
OLD = "TokenCounts(choice.prompt_token_ids)"
NEW = "TokenCounts()"
CAUGHT_BY = ("penalties_follow_their_definitions",)
