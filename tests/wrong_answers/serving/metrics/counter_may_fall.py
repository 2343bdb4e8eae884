"""A counter takes a negative amount."""

FILE = "minillm/serving/watching/instruments.py"
OLD = "if not 0 <= amount < math.inf:"
NEW = "if not amount < math.inf:"
CAUGHT_BY = ("counters_only_rise",)
