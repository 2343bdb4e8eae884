"""Aborted requests count into requests a second."""

FILE = "minillm/serving/watching/summary.py"
OLD = "requests_per_s=sum(one.finish_reason in ANSWERED for one in kept)"
NEW = "requests_per_s=sum(True for one in kept)"
CAUGHT_BY = ("a_run_is_summed_up",)
