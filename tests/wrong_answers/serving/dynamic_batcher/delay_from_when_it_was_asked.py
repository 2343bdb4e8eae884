"""The delay is counted from the moment of asking, so the oldest waits for ever."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "due = min(ticket.submitted_at for ticket in front) + delay"
NEW = "due = now + delay"
CAUGHT_BY = [
    "the_oldest_waits_no_longer_than_the_delay",
    "random_days_agree_with_the_slow_batcher",
    "a_lonely_request_leaves_when_its_wait_is_over",
]
