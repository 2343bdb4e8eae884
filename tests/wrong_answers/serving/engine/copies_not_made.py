"""A shared block is written to where it was to be copied, and the copy holds nothing."""

FILE = "minillm/serving/compute/worker.py"
OLD = "if output.copies:"
NEW = "if False:"
CAUGHT_BY = (
    "random_days",
    "samples_share_the_prompt",
)
