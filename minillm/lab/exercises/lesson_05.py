"""Exercises of lesson 05: one tile, which tiles, all of flash attention, and a block-wise attention to find out and mend."""

from minillm.lab.exercises.blockwise_faults import CLINIC, SYMPTOMS
from minillm.lab.exercises.flash_cases import FLASH
from minillm.lab.exercises.one_tile import RESCALE
from minillm.lab.exercises.visited_tiles import TILES

EXERCISES = (TILES, RESCALE, FLASH, SYMPTOMS, CLINIC)
