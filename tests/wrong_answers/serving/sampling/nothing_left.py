"""A tiny top_p keeps not even the best."""

FILE = "minillm/decoding/support.py"
OLD = "    keep[:, 0] = True\n    return keep"
NEW = "    return keep & (reached.double() <= tops * totals.double())"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other", "equal_scores_go_by_id")
