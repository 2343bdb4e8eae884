"""When blocks run out, the first that runs loses its own."""

FILE = "minillm/serving/schedule/step.py"
OLD = "for r in reversed(self.running) if"
NEW = "for r in self.running if"
CAUGHT_BY = (
    "a_pool_that_never_suffices_still_serves_all",
    "random_days",
)
