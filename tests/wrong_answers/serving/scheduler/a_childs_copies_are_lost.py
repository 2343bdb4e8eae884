"""The half-full block that a child shares is not copied before it is written."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        self.copies += request.table.append(count)
"""
NEW = """\
        request.table.append(count)
"""
CAUGHT_BY = (
    "samples_share_all_blocks_of_their_prompt",
    "random_days",
)
