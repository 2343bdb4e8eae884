"""The proposer is not told of texts that ended."""

FILE = "minillm/serving/engine.py"
OLD = "for name in (*preempted, *ended))"
NEW = "for name in preempted)"
CAUGHT_BY = ("random_days",)
