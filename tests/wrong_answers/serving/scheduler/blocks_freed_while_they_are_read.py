"""The newest text gives its blocks back and goes on running on them."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        self.running.remove(request)
        request.status, request.num_computed_tokens, request.draft_token_ids = "waiting", 0, []
        request.num_preemptions += 1
        self.memory.close(request)
        self.waiting.push(request)
"""
NEW = """\
        request.num_preemptions += 1
        request.table.pool.free(request.table.block_ids)
"""
CAUGHT_BY = (
    "the_newest_gives_its_blocks_back",
    "random_days",
)
