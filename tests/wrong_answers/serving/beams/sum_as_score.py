"""The score is the sum."""

FILE = "minillm/decoding/beam.py"
OLD = "    score = beam.logprob / len(beam.token_ids) ** rules.length_penalty\n"
NEW = "    score = beam.logprob\n"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules", "a_step_says_whom_to_copy")
