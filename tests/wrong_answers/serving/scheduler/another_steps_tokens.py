"""Tokens of any step are taken for those of this one."""

FILE = "minillm/serving/scheduler.py"
OLD = "if output is None or output is not self._step:"
NEW = "if False:"
CAUGHT_BY = ("steps_follow_each_other",)
