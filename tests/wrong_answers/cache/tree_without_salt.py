"""All salts grow in one tree."""

FILE = "minillm/cache/radix.py"
OLD = "self.roots.get(salt), 0"
NEW = "self.roots.get(None), 0"
CAUGHT_BY = ("a_salt_sets_texts_apart", "random_lives_with_a_tree")
