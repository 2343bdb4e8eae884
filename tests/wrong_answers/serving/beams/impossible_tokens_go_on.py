"""A token of no probability is a continuation."""

FILE = "minillm/decoding/beam.py"
OLD = '        if logprob > float("-inf")\n'
NEW = ""
CAUGHT_BY = ("what_cannot_come_is_no_continuation",)
