"""Only the blocks of the first pass are asked for."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "reader.table.blocks_needed(count + more)"
NEW = "reader.table.blocks_needed(count)"
CAUGHT_BY = ("without_blocks_nothing_is_proposed_and_nothing_breaks",)
