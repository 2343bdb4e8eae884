"""The stop token is not counted in the length."""

FILE = "minillm/decoding/beam.py"
OLD = "beam.logprob / len(beam.token_ids) **"
NEW = "beam.logprob / max(1, len(beam.token_ids) - 1) **"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules", "a_step_says_whom_to_copy")
