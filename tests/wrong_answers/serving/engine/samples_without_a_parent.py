"""Each of n texts computes the prompt for itself."""

FILE = "minillm/serving/writing/answer.py"
OLD = "parent = parent or request"
NEW = "parent = None"
CAUGHT_BY = ("samples_share_the_prompt",)
