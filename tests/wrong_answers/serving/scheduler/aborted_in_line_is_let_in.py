"""Who left the line is let in when its turn comes."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = """\
            if request.is_finished:
                self._num_stale -= 1
            elif"""
NEW = "            if"
CAUGHT_BY = (
    "aborts_at_any_moment",
    "random_days",
)
