"""A request that has ended can be aborted once more."""

FILE = "minillm/serving/writing/answers.py"
OLD = "        if request_id in self.done:\n"
NEW = "        if False:\n"
CAUGHT_BY = ("aborts_are_exact",)
