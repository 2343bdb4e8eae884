"""A text that is known to its last token is let in with nothing to compute."""

FILE = "minillm/cache/prefix.py"
OLD = "self._walk(self._links(text, 0, max(0, (len(text.token_ids) - 1) // self.pool.block_size)))"
NEW = "self._walk(self._links(text, 0, len(text.token_ids) // self.pool.block_size))"
CAUGHT_BY = (
    "a_hit_leaves_a_token_to_compute",
    "random_days",
)
