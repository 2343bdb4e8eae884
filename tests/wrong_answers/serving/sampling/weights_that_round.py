"""Probabilities in units so coarse that unlikely tokens weigh nothing."""

FILE = "minillm/decoding/support.py"
OLD = "UNITS = 2.0**48"
NEW = "UNITS = 2.0**10"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other",)
