"""Exercises of lesson 11: what a kept text saves, an index of blocks by all before them, who is forgotten, and a cache to mend."""

from minillm.lab.exercises.forgetting_order import FREE_LIST
from minillm.lab.exercises.prefix_clinic import CLINIC
from minillm.lab.exercises.prefix_index import INDEX
from minillm.lab.exercises.reusable_tokens import REUSABLE

EXERCISES = (REUSABLE, INDEX, FREE_LIST, CLINIC)
