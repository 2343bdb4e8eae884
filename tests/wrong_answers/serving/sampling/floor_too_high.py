"""What top_p still needs is left out."""

FILE = "minillm/decoding/support.py"
OLD = "(1 - top) / (2 * V)"
NEW = "(1 - top)"
CAUGHT_BY = (
    "every_kept_token_is_drawn_in_its_place_and_no_other",
    "a_large_vocabulary_is_cut_where_the_definition_cuts",
)
