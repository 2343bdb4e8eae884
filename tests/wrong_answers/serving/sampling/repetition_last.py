"""Repetition is applied to what presence and frequency left."""

FILE = "minillm/decoding/penalties.py"
OLD = "    scores[ids] = used\n"
NEW = "    scores[ids] = used\n    if params.repetition_penalty != 1 and (params.frequency_penalty or params.presence_penalty):\n        used = scores[ids] + params.frequency_penalty * in_output\n        scores[ids] = used\n"
CAUGHT_BY = ("penalties_follow_their_definitions",)
