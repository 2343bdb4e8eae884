"""A text that shares a run's first block is given the whole run."""

FILE = "minillm/cache/radix.py"
OLD = "        return end // self._width\n"
NEW = "        return len(tokens) // self._width\n"
CAUGHT_BY = ("a_text_is_found_as_far_as_it_is_the_same", "random_lives_with_a_tree")
