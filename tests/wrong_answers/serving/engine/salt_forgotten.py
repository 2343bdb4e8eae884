"""Texts of different salts find one another's blocks."""

FILE = "minillm/serving/engine.py"
OLD = "salt=salt, arrival_time=now"
NEW = "salt=None, arrival_time=now"
CAUGHT_BY = ("salts_and_priorities_reach_the_scheduler",)
