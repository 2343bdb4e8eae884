"""A message of two tokens counts as one token."""

FILE = "minillm/serving/metrics.py"
OLD = "tokens += len(ids)"
NEW = "tokens += 1"
CAUGHT_BY = ("an_engine_counts_tokens_and_ends",)
