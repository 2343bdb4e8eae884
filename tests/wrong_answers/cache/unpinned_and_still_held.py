"""An unpinned text keeps its references."""

FILE = "minillm/cache/prefix.py"
OLD = "        self.pool.free(self._pins.pop(name))\n"
NEW = "        del self._pins[name]\n"
CAUGHT_BY = ("a_pinned_text_stays", "random_lives_with_a_hash_chain", "random_lives_with_a_tree")
