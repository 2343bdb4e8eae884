"""The length penalty is a factor."""

FILE = "minillm/decoding/beam.py"
OLD = "len(beam.token_ids) ** rules"
NEW = "len(beam.token_ids) * rules"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules")
