"""Every bucket counts its own values only; Prometheus expects all up to the bound."""

FILE = "minillm/serving/watching/instruments.py"
OLD = "zip(bounds, accumulate(self.counts), strict=True)"
NEW = "zip(bounds, self.counts, strict=True)"
CAUGHT_BY = ("histograms_count_up_to_and_with_each_bound",)
