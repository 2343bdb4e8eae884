"""Scores are added up as they are."""

FILE = "minillm/decoding/beam.py"
OLD = "logits.double().log_softmax(dim=-1)"
NEW = "logits.double()"
CAUGHT_BY = (
    "a_beam_as_wide_as_all_texts_finds_the_best",
    "any_width_follows_the_rules",
    "paged_beams_are_those_that_recompute_everything",
)
