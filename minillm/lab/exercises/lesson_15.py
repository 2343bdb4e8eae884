"""Exercises of lesson 15: a token a row, what top-p keeps, a step of a beam search, and a stream to mend."""

from minillm.lab.exercises.beam_choice import BEAM_STEP
from minillm.lab.exercises.drawn_tokens import DRAW
from minillm.lab.exercises.nucleus import TOP_P
from minillm.lab.exercises.stop_clinic import CLINIC

EXERCISES = (DRAW, TOP_P, BEAM_STEP, CLINIC)
