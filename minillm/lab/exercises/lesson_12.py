"""Exercises of lesson 12: how large batches must be, who leaves now, a batcher for a virtual clock, and a server to mend."""

from minillm.lab.exercises.batcher_clinic import CLINIC
from minillm.lab.exercises.keeping_up import KEEPS_UP
from minillm.lab.exercises.own_batcher import BATCHER
from minillm.lab.exercises.send_now import WHEN

EXERCISES = (KEEPS_UP, WHEN, BATCHER, CLINIC)
