"""A pass over five tokens a text costs a full batch nothing more."""

FILE = "minillm/decoding/speculative.py"
OLD = "pass_cost(batch * (k + 1), ridge) / pass_cost(batch, ridge)"
NEW = "pass_cost(1, ridge)"
CAUGHT_BY = ("the_price_is_counted",)
