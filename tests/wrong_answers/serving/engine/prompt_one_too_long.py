"""A prompt may be one token longer than the model."""

FILE = "minillm/serving/asking/prompts.py"
OLD = "fits = room - count + 1"
NEW = "fits = room - count + 2"
CAUGHT_BY = ("the_last_position_and_not_one_more",)
