"""A prompt cut at the end of a pass is scored twice."""

FILE = "minillm/serving/beams.py"
OLD = " if part.is_last]"
NEW = "]"
CAUGHT_BY = ("paged_beams_are_those_that_recompute_everything",)
