"""A block leaves the tree, and those behind it are still thought to be in it."""

FILE = "minillm/cache/radix.py"
OLD = "        for lost in reversed(below):\n            self.pool"
NEW = "        for lost in ():\n            self.pool"
CAUGHT_BY = ("a_text_that_lost_its_middle_can_be_kept_again", "random_lives_with_a_tree")
