"""Everybody is there from the start."""

FILE = "minillm/serving/simulate.py"
OLD = "while self._arriving and self._arriving[-1].arrival_time <= self.now:"
NEW = "while self._arriving:"
CAUGHT_BY = ("who_comes_during_a_step_waits_for_its_end",)
