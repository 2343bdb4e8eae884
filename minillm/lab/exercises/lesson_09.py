"""Exercises of lesson 09: runs of keys, merging them, how many to make, and a split step to mend."""

from minillm.lab.exercises.merge_runs import CLINIC, MERGE
from minillm.lab.exercises.runs_of_keys import RUNS, SPLITS

EXERCISES = (RUNS, MERGE, SPLITS, CLINIC)
