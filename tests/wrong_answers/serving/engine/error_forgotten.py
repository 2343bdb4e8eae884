"""A text that fails is left as it is."""

FILE = "minillm/serving/compute/worker.py"
OLD = "outcome.failed[share.request.request_id] = error"
NEW = "pass"
CAUGHT_BY = ("one_failing_text_ends_alone",)
