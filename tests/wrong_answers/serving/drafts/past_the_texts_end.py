"""More is proposed than the text may still have."""

FILE = "minillm/serving/speculation/proposer.py"
OLD = "request.max_tokens - request.num_output_tokens - 1"
NEW = "request.max_tokens - request.num_output_tokens"
CAUGHT_BY = ("no_more_is_proposed_than_can_be_kept",)
