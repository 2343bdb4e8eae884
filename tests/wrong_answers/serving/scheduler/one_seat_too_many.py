"""One text more runs than may."""

FILE = "minillm/serving/schedule/step.py"
OLD = "len(self.running) < self.config.num_seats"
NEW = "len(self.running) <= self.config.num_seats"
CAUGHT_BY = (
    "no_more_run_than_there_are_seats",
    "random_days",
)
