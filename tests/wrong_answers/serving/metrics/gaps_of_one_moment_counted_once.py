"""Gaps that began at one moment are lost."""

FILE = "minillm/serving/metrics.py"
OLD = "gaps[before] = gaps.get(before, 0) + 1"
NEW = "gaps[moment] = 1"
CAUGHT_BY = ("histograms_hold_what_the_requests_say",)
