"""A child is not told that its parent is gone."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            self.memory.close(request)
            self.waiting.release(request)
"""
NEW = """\
            self.memory.close(request)
"""
CAUGHT_BY = (
    "an_orphan_is_served",
    "random_days",
)
