"""A text of one token can never meet a bound on TPOT."""

FILE = "minillm/serving/watching/summary.py"
OLD = "return all(bound is None or took is None or took <= bound for"
NEW = "return all(bound is None or (took is not None and took <= bound) for"
CAUGHT_BY = ("goodput_counts_whole_requests_that_met_everything",)
