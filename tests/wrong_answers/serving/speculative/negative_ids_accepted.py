"""A negative token id is one from the end of the vocabulary."""

FILE = "minillm/decoding/speculative.py"
OLD = "if not 0 <= token < p.shape[1]"
NEW = "if not token < p.shape[1]"
CAUGHT_BY = ("samplers_refuse_what_does_not_fit",)
