"""A finished text gets drafts."""

FILE = "minillm/serving/speculation/proposer.py"
OLD = "return 0 if request.is_finished else request"
NEW = "return request"
CAUGHT_BY = ("no_more_is_proposed_than_can_be_kept",)
