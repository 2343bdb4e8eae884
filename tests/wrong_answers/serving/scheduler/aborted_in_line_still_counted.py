"""Who left the line is counted among those who wait."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = '        """A request that waits has finished."""\n        self._num_waiting -= 1\n'
NEW = '        """A request that waits has finished."""\n'
CAUGHT_BY = (
    "those_who_left_the_line_are_forgotten",
    "random_days",
)
