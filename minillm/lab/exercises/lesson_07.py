"""Exercises of lesson 07: a step over a kept past, ragged rows, a ring's slots, and two clinics, of places and of memory."""

from minillm.lab.exercises.cached_step import STEP
from minillm.lab.exercises.memory_estimate import MEMORY
from minillm.lab.exercises.ragged_append import APPEND
from minillm.lab.exercises.ring_slots import RING
from minillm.lab.exercises.text_places import PLACE

EXERCISES = (STEP, APPEND, RING, PLACE, MEMORY)
