"""Frequency is taken off once, like presence."""

FILE = "minillm/decoding/penalties.py"
OLD = "params.frequency_penalty * in_output"
NEW = "params.frequency_penalty * (in_output > 0)"
CAUGHT_BY = ("penalties_follow_their_definitions",)
