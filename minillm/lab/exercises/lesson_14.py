"""Exercises of lesson 14: what readers feel, prompts cut to fill a step, a promise kept, and a planner to mend."""

from minillm.lab.exercises.chunk_clinic import CLINIC
from minillm.lab.exercises.prompt_cuts import CUT
from minillm.lab.exercises.reader_times import TIMES
from minillm.lab.exercises.step_budget import TARGET

EXERCISES = (TIMES, CUT, TARGET, CLINIC)
