"""A block whose text is known already is given back, and stays in the table."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = """\
        self.prefix.insert_growing(text, request.table.block_ids, request.num_computed_tokens)
"""
NEW = """\
        blocks, known = request.table.block_ids, text.num_kept
        self.prefix.insert_growing(text, blocks, request.num_computed_tokens)
        for block, link in list(zip(blocks, text.links))[known : text.num_kept]:
            if self.pool.find(link[0]) != block:
                self.pool.free([block])
"""
CAUGHT_BY = (
    "one_arrival_a_step_does_not_hold_up_who_runs",
    "random_days",
)
