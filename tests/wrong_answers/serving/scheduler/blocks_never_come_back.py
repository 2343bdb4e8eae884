"""A text that ended keeps its blocks."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            self.memory.close(request)
"""
NEW = """\
            request.table = None
"""
CAUGHT_BY = (
    "a_finished_request_is_gone",
    "random_days",
)
