"""A block is kept under a second key while the first still leads to it."""

FILE = "minillm/cache/block_pool.py"
OLD = "if holder not in (None, block) or other != key:"
NEW = "if holder not in (None, block):"
CAUGHT_BY = ("wrong_calls_change_nothing",)
