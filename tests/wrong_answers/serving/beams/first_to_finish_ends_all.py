"""The search ends with the first that finishes."""

FILE = "minillm/decoding/beam.py"
OLD = "    if len(finished) == rules.width or not live:"
NEW = "    if finished or not live:"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules")
