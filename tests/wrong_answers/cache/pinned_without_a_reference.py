"""A pinned text is remembered as pinned, and lost like any other."""

FILE = "minillm/cache/prefix.py"
OLD = "self._pins[name] = self.pool.fork(blocks)"
NEW = "self._pins[name] = blocks"
CAUGHT_BY = ("a_pinned_text_stays", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
