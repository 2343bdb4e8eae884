"""The delay starts anew with every request that comes."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "due = min(ticket.submitted_at for ticket in front) + delay"
NEW = "due = max(ticket.submitted_at for ticket in front) + delay"
CAUGHT_BY = ["the_oldest_waits_no_longer_than_the_delay"]
