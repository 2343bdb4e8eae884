"""Log-probabilities are rounded to 16 bits."""

FILE = "minillm/decoding/beam.py"
OLD = "logits.double().log_softmax(dim=-1)"
NEW = "logits.half().log_softmax(dim=-1).double()"
CAUGHT_BY = ("a_beam_as_wide_as_all_texts_finds_the_best", "any_width_follows_the_rules")
