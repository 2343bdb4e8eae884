"""Blocks are let be found with the guesses in them, right or wrong."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
        request = share.request
        for token in tokens:
"""
NEW = """\
        request = share.request
        if share.num_drafts and self.memory.prefix is not None:
            known = request.token_ids[: share.start] + share.token_ids
            self.memory.prefix.insert(known, request.table.block_ids, salt=request.salt)
        for token in tokens:
"""
CAUGHT_BY = (
    "a_wrong_guess_is_never_found",
    "random_days",
)
