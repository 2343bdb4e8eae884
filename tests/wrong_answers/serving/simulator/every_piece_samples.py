"""A row is scored for every piece of a prompt."""

FILE = "minillm/serving/simulate.py"
OLD = "rows = sum(share.num_drafts + 1 for share in output.shares if share.samples)"
NEW = "rows = sum(share.num_drafts + 1 for share in output.shares)"
CAUGHT_BY = ("only_the_last_piece_of_a_prompt_gives_a_token",)
