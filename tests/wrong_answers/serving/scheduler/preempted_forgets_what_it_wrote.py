"""A text that lost its blocks begins again with its prompt."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        request.num_preemptions += 1
"""
NEW = """\
        request.num_preemptions += 1
        request.token_ids[:] = request.prompt_token_ids
"""
CAUGHT_BY = (
    "the_newest_gives_its_blocks_back",
    "random_days",
)
