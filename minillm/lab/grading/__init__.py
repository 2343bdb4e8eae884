"""Grading: a learner's notebook run in a copy, bounded in time and memory, and its checks reported."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(__name__, {"grade_notebook": "minillm.lab.grading.grade"})
