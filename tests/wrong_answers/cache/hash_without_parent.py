"""A block is known by its own tokens alone, whatever text they stand in."""

FILE = "minillm/cache/prefix.py"
OLD = "sha256(parent + tokens)"
NEW = "sha256(tokens)"
CAUGHT_BY = ("the_same_block_behind_other_words_is_another", "random_lives_with_a_hash_chain")
