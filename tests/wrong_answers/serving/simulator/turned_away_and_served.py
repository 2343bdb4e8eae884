"""Who is turned away counts as answered."""

FILE = "minillm/serving/simulate.py"
OLD = '                request.finish_reason = "abort"\n'
NEW = '                request.finish_reason = "length"\n'
CAUGHT_BY = ("who_finds_the_queue_full_is_turned_away",)
