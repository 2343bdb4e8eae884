"""A higher temperature sharpens."""

FILE = "minillm/decoding/support.py"
OLD = "shifted /= _column"
NEW = "shifted *= _column"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other", "draws_have_the_probabilities")
