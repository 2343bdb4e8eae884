"""Texts are compared by their last token."""

FILE = "minillm/decoding/beam.py"
OLD = "(beam.logprob + logprob, parent, token)"
NEW = "(logprob, parent, token)"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules", "a_step_says_whom_to_copy")
