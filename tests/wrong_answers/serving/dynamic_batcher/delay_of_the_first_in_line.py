"""With levels the first in line is not the oldest."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "due = min(ticket.submitted_at for ticket in front) + delay"
NEW = "due = front[0].submitted_at + delay"
CAUGHT_BY = ["the_delay_is_that_of_the_oldest_in_the_batch"]
