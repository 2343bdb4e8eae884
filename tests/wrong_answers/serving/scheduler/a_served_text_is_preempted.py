"""The victim is the last that runs, whether it was served in this step or not."""

FILE = "minillm/serving/schedule/step.py"
OLD = "next(r for r in reversed(self.running) if r.request_id not in self._served)"
NEW = "self.running[-1]"
CAUGHT_BY = (
    "a_prompt_behind_whom_all_are_served_keeps_its_blocks",
    "random_days",
)
