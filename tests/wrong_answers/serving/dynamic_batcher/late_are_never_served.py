"""Those whose time ran out are looked at no more."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "return self.in_time, self.late"
NEW = "return (self.in_time,)"
CAUGHT_BY = ["the_delayed_come_after_all_that_are_in_time"]
