"""The end is forbidden once more than asked for."""

FILE = "minillm/serving/writing/answer.py"
OLD = "if position < params.min_tokens else ()"
NEW = "if position <= params.min_tokens and params.min_tokens else ()"
CAUGHT_BY = ("texts_end_where_they_are_told_to",)
