"""Exercises of lesson 16: what a pass leaves standing, a text that guesses for itself, right draws by a wrong draft, a loop to mend."""

from minillm.lab.exercises.draft_clinic import CLINIC
from minillm.lab.exercises.kept_drafts import KEEP
from minillm.lab.exercises.right_draws import DRAWS
from minillm.lab.exercises.text_look_up import LOOK_UP

EXERCISES = (KEEP, LOOK_UP, DRAWS, CLINIC)
