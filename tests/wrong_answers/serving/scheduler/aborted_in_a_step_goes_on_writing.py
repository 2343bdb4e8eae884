"""What was computed for a request that left meanwhile is written to it."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            if request.finish_reason is not None:
                continue
            if share.samples:"""
NEW = "            if share.samples and request.request_id in sampled:"
CAUGHT_BY = (
    "aborts_at_any_moment",
    "random_days",
)
