"""A second request with the same id takes the first one's place."""

FILE = "minillm/serving/scheduler.py"
OLD = "if request.arrival >= 0 or request.request_id in self.requests:"
NEW = "if request.arrival >= 0:"
CAUGHT_BY = ("a_request_is_added_once",)
