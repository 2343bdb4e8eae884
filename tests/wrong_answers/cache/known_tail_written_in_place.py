"""A block that can be found by its text is overwritten with another."""

FILE = "minillm/cache/block_table.py"
OLD = "        elif count and self._has_room():\n"
NEW = "        elif count < 0:\n"
CAUGHT_BY = (
    "a_known_tail_is_forgotten_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
