"""A block can be found as soon as it is scheduled."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        self.tokens_left -= count + drafts
"""
NEW = """\
        self.tokens_left -= count + drafts
        request.num_computed_tokens += count
        self.memory.publish(request)
        request.num_computed_tokens -= count
"""
CAUGHT_BY = (
    "a_block_is_found_only_after_its_step",
    "random_days",
)
