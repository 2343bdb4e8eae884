"""A pass reads each beam's first token again."""

FILE = "minillm/serving/beams.py"
OLD = "beam.token_ids[-1] for state in self.states"
NEW = "beam.token_ids[0] for state in self.states"
CAUGHT_BY = ("paged_beams_are_those_that_recompute_everything",)
