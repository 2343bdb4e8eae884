"""The beginning of a text, which most texts share, is the first to be lent again."""

FILE = "minillm/cache/block_pool.py"
OLD = "reversed(self.require_in_use(blocks))"
NEW = "self.require_in_use(blocks)"
CAUGHT_BY = (
    "the_end_of_a_text_is_lent_first",
    "a_block_lent_again_is_no_longer_found",
    "random_lives_with_a_hash_chain",
    "random_lives_with_a_tree",
)
