"""Exercises of lesson 10: what whole pages waste, texts fetched out of them, a pool that counts, and a store to mend."""

from minillm.lab.exercises.little_pool import POOL
from minillm.lab.exercises.page_clinic import CLINIC
from minillm.lab.exercises.page_gather import GATHER
from minillm.lab.exercises.page_waste import UNUSED

EXERCISES = (UNUSED, GATHER, POOL, CLINIC)
