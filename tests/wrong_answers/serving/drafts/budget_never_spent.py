"""Each text may read as much as all together."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "budget, free = budget - count, free - blocks"
NEW = "free = free - blocks"
CAUGHT_BY = ("long_prompts_are_read_in_pieces",)
