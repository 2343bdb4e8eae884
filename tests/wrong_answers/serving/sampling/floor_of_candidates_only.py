"""top_p is of the tokens that a search let through."""

FILE = "minillm/decoding/support.py"
OLD = "    totals = torch.where(is_cut, reached[:, -1:], totals)\n"
NEW = "    totals = reached[:, -1:]\n"
CAUGHT_BY = ("a_large_vocabulary_is_cut_where_the_definition_cuts", "a_row_is_chosen_alone_as_in_company")
