"""Microseconds are slept as milliseconds."""

FILE = "minillm/serving/batching/threads.py"
OLD = "/ 1e6)"
NEW = "/ 1e3)"
CAUGHT_BY = ["a_lonely_request_leaves_when_its_wait_is_over"]
