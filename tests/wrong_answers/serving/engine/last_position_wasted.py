"""The last position of the model is never used."""

FILE = "minillm/serving/asking/prompts.py"
OLD = "fits = room - count + 1"
NEW = "fits = room - count"
CAUGHT_BY = ("the_last_position_and_not_one_more",)
