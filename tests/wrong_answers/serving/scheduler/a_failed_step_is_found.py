"""What an aborted or failed request was to compute can be found."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = """\
        if request.table is not None:
            request.table.free()
            request.table = None
"""
NEW = """\
        if request.table is not None:
            if request.is_finished and self.prefix is not None:
                length = min(request.table.length, len(request.token_ids))
                self.prefix.insert(request.token_ids[:length], request.table.block_ids, salt=request.salt)
            request.table.free()
            request.table = None
"""
CAUGHT_BY = (
    "a_step_that_failed_leaves_nothing_to_find",
    "random_days",
)
