"""A part of the rows is drawn from the first rows' scores."""

FILE = "minillm/decoding/sampling.py"
OLD = "these = scores if len(part) == len(rules) else scores[part]"
NEW = "these = scores[: len(part)]"
CAUGHT_BY = ("a_row_is_chosen_alone_as_in_company", "a_large_vocabulary_is_cut_where_the_definition_cuts")
