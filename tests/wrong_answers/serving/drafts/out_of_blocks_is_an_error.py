"""Nobody asks whether there are blocks."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "            if blocks > free:"
NEW = "            if False:"
CAUGHT_BY = ("without_blocks_nothing_is_proposed_and_nothing_breaks",)
