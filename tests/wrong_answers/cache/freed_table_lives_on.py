"""A text that was freed can be used, and freed, again."""

FILE = "minillm/cache/block_table.py"
OLD = "= [], 0, True\n"
NEW = "= [], 0, False\n"
CAUGHT_BY = ("wrong_calls_of_a_table_change_nothing", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
