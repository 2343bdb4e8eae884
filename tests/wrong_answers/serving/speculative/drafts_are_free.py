"""The draft's own passes are not paid for."""

FILE = "minillm/decoding/speculative.py"
OLD = "(verify + k * draft_cost)"
NEW = "(verify + draft_cost)"
CAUGHT_BY = ("the_price_is_counted",)
