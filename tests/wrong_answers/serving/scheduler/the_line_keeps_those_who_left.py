"""Who left the line stays in its memory until it would have been first."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = "if self._num_stale > len(self._heap) // 2:"
NEW = "if False:"
CAUGHT_BY = ("those_who_left_the_line_are_forgotten",)
