"""The model's own scores are penalised in place."""

FILE = "minillm/decoding/sampling.py"
OLD = "        scores = scores.clone()\n"
NEW = "        pass\n"
CAUGHT_BY = ("penalties_follow_their_definitions",)
