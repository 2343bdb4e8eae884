"""A text of one token has a time per output token of nothing, which pulls the mean down."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "if tokens > 1 else None"
NEW = "if tokens > 1 else 0.0"
CAUGHT_BY = ("time_per_output_token_leaves_out_the_first",)
