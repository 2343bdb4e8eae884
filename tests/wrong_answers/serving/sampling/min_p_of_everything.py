"""min_p is taken as a probability, not as a share of the best one."""

FILE = "minillm/decoding/support.py"
OLD = "floors = best * _column(probabilities, [rule.min_p for rule in rules])"
NEW = "floors = best.minimum(_column(probabilities, [rule.min_p for rule in rules]))"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other",)
