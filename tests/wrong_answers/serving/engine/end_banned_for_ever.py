"""What may not end a text at first may never end it."""

FILE = "minillm/serving/writing/answer.py"
OLD = "if position < params.min_tokens else ()"
NEW = "if params.min_tokens else ()"
CAUGHT_BY = ("random_days",)
