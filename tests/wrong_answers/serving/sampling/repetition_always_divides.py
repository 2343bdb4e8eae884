"""A negative score is divided too: the token becomes likelier."""

FILE = "minillm/decoding/penalties.py"
OLD = "torch.where(used > 0, used / params.repetition_penalty, used * params.repetition_penalty)"
NEW = "used / params.repetition_penalty"
CAUGHT_BY = ("penalties_follow_their_definitions",)
