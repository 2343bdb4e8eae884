"""Presence counts the prompt."""

FILE = "minillm/decoding/penalties.py"
OLD = "(in_output > 0)"
NEW = "(in_output >= 0)"
CAUGHT_BY = ("penalties_follow_their_definitions",)
