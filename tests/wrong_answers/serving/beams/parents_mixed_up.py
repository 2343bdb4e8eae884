"""A child goes on from the beam at its own place."""

FILE = "minillm/serving/beams.py"
OLD = "tables[parent] if parent not in parents[:i] else tables[parent].fork() for i, parent in enumerate(parents)"
NEW = "tables[i] if i < len(tables) else tables[parent].fork() for i, parent in enumerate(parents)"
CAUGHT_BY = ("paged_beams_are_those_that_recompute_everything",)
