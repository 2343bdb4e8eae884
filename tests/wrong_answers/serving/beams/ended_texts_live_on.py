"""A stop token is one like any other."""

FILE = "minillm/decoding/beam.py"
OLD = "        if token in rules.stop_token_ids:\n"
NEW = "        if False:\n"
CAUGHT_BY = (
    "a_beam_as_wide_as_all_texts_finds_the_best",
    "a_beam_of_one_is_greedy",
    "any_width_follows_the_rules",
    "paged_beams_are_those_that_recompute_everything",
)
