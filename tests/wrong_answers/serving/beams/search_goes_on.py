"""Enough have finished, and the search goes on."""

FILE = "minillm/decoding/beam.py"
OLD = "    if len(finished) == rules.width or not live:"
NEW = "    if not live:"
CAUGHT_BY = ("any_width_follows_the_rules", "a_beam_of_one_is_greedy")
