"""A half-full block is written while another text reads it."""

FILE = "minillm/cache/block_table.py"
OLD = "return self._has_room() and self.pool.ref_count(self.block_ids[-1]) > 1"
NEW = "return False"
CAUGHT_BY = (
    "a_shared_tail_is_copied_before_it_is_written",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
