"""Exercises of lesson 13: rows that idle, a step's tokens shared out, and a schedule to mend."""

from minillm.lab.exercises.hasty_clinic import CLINIC
from minillm.lab.exercises.idle_rows import IDLE
from minillm.lab.exercises.step_plan import SCHEDULE

EXERCISES = (IDLE, SCHEDULE, CLINIC)
