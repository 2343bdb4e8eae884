"""A value equal to a bound falls into the next bucket."""

FILE = "minillm/serving/watching/instruments.py"
OLD = "bisect_left(self.buckets, value)"
NEW = "bisect_left(self.buckets, value + 1e-9)"
CAUGHT_BY = ("histograms_count_up_to_and_with_each_bound",)
