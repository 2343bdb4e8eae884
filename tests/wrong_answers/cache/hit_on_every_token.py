"""A prompt that is known whole leaves the model nothing to compute."""

FILE = "minillm/cache/prefix.py"
OLD = "(len(data) // TOKEN_BYTES - 1) //"
NEW = "len(data) // TOKEN_BYTES //"
CAUGHT_BY = ("a_hit_leaves_a_token_to_compute", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
