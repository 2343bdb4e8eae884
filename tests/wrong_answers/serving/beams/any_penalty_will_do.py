"""A penalty that is no number is taken."""

FILE = "minillm/decoding/beam.py"
OLD = "    if not -10 <= length_penalty <= 10:"
NEW = "    if False:"
CAUGHT_BY = ("rules_refuse_what_means_nothing",)
