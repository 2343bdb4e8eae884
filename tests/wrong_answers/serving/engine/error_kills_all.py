"""One text that fails ends everyone."""

FILE = "minillm/serving/compute/worker.py"
OLD = "            return self._one_by_one(output.shares, texts)"
NEW = "            return Outcome({}, {s.request.request_id: RuntimeError('x') for s in output.shares})"
CAUGHT_BY = (
    "one_failing_text_ends_alone",
    "a_failing_sample_leaves_the_others",
)
