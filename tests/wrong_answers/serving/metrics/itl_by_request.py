"""The gaps are averaged over each request first, and the stutter is gone."""

FILE = "minillm/serving/watching/summary.py"
OLD = "itl=Percentiles.of(gap for one in kept for gap in one.itl)"
NEW = "itl=Percentiles.of(one.tpot for one in kept)"
CAUGHT_BY = ("a_run_is_summed_up",)
