"""Hypotheses come as they finished."""

FILE = "minillm/decoding/beam.py"
OLD = "finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[: rules.width]"
NEW = "finished = finished[: rules.width]"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules")
