"""A run whose blocks are all gone stays in the tree for ever."""

FILE = "minillm/cache/radix.py"
OLD = "            del node.parent.children[first]\n"
NEW = "            pass\n"
CAUGHT_BY = ("random_lives_with_a_tree",)
