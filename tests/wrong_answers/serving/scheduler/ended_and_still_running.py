"""A text that ended stays among those who run."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            self.running = [request for request in self.running if request.status == "running"]
"""
NEW = """\
            pass
"""
CAUGHT_BY = (
    "a_finished_request_is_gone",
    "random_days",
)
