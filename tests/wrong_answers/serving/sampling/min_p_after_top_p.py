"""What top_p measures still has what min_p cut."""

FILE = "minillm/decoding/support.py"
OLD = "    totals = torch.where(is_cut, reached[:, -1:], totals)\n"
NEW = ""
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other", "equal_scores_go_by_id")
