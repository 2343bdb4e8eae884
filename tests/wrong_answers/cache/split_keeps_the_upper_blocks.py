"""A run parts in two, and both parts hold the first blocks."""

FILE = "minillm/cache/radix.py"
OLD = "        del node.block_ids[:count]\n"
NEW = ""
CAUGHT_BY = ("a_text_is_found_as_far_as_it_is_the_same", "random_lives_with_a_tree")
