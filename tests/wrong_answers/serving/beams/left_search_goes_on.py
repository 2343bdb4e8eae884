"""A search that was left still has beams, and no blocks."""

FILE = "minillm/serving/beams.py"
OLD = "        self.states = [BeamState((), state.finished) for state in self.states]\n"
NEW = ""
CAUGHT_BY = ("a_search_that_is_left_is_over",)
