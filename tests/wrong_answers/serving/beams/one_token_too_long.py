"""The search goes on past max_tokens."""

FILE = "minillm/decoding/beam.py"
OLD = "== rules.max_tokens:"
NEW = "== rules.max_tokens + 1:"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "a_beam_of_one_is_greedy", "any_width_follows_the_rules")
