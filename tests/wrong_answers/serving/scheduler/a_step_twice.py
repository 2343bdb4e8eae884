"""A second step is scheduled before the first was updated."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
        if self._step is not None:
            rule, remedy"""
NEW = """\
        if False:
            rule, remedy"""
CAUGHT_BY = ("steps_follow_each_other",)
