"""The token that ends a text is decoded into it."""

FILE = "minillm/serving/writing/answer.py"
OLD = "piece, stopped = stream.push(token, last=reason is not None, silent=silent)"
NEW = "piece, stopped = stream.push(token, last=reason is not None, silent=False)"
CAUGHT_BY = ("random_days",)
