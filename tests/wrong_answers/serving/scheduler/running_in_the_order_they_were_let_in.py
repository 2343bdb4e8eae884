"""A text that comes back goes behind those who came later."""

FILE = "minillm/serving/schedule/step.py"
OLD = "insort(self.running, request, key=self.waiting.key)"
NEW = "self.running.append(request)"
CAUGHT_BY = (
    "who_runs_goes_first_and_leaves_a_token_for_each_behind",
    "random_days",
)
