"""The copy of a shared tail is left out of the blocks a text needs."""

FILE = "minillm/cache/block_table.py"
OLD = " + (count > 0 and self._tail_is_shared())"
NEW = ""
CAUGHT_BY = (
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
