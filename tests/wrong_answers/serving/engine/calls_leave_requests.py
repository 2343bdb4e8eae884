"""An interrupted call leaves its requests in the engine."""

FILE = "minillm/serving/llm.py"
OLD = "            for answer in answers:\n                engine.discard(answer.request_id)"
NEW = "            pass"
CAUGHT_BY = (
    "an_interrupted_call_leaves_nothing",
    "everything_is_checked_before_anything_runs",
)
