"""The token that crosses p goes."""

FILE = "minillm/decoding/support.py"
OLD = "keep = ((reached - weights).double() < tops"
NEW = "keep = (reached.double() < tops"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other", "equal_scores_go_by_id")
