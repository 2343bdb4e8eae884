"""Texts that reach max_tokens are thrown away."""

FILE = "minillm/decoding/beam.py"
OLD = '        finished += [_hypothesis(beam, "length", rules) for beam in live]\n'
NEW = ""
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules")
