"""Checks: a learner's answer judged in four layers, and the pieces an exercise is declared with.

`check` and `hint` are what a notebook calls. Authors of exercises use `exercise`, `cases` and `inputs`; see
`minillm.lab.exercises` for how.
"""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {"check": "minillm.lab.checks.judge", "hint": "minillm.lab.checks.judge"},
)
