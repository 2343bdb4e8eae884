"""A request id may be given away while it is in use."""

FILE = "minillm/serving/writing/answers.py"
OLD = "taken is not None or wanted in self.live"
NEW = "False"
CAUGHT_BY = ("wrong_requests_change_nothing",)
