"""A value seen several times is summed once."""

FILE = "minillm/serving/watching/instruments.py"
OLD = "self.sum += value * times"
NEW = "self.sum += value"
CAUGHT_BY = ("histograms_count_up_to_and_with_each_bound",)
