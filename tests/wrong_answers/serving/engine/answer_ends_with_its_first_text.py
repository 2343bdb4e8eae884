"""A request is over when one of its texts is."""

FILE = "minillm/serving/writing/answers.py"
OLD = "        if answer.is_finished:\n            del"
NEW = "        if answer.request_id in self.live:\n            del"
CAUGHT_BY = (
    "random_days",
    "samples_share_the_prompt",
)
