"""A token is put into a text's last block, whoever else reads it."""

FILE = "minillm/cache/block_table.py"
OLD = "if count > -self.length % size or not self.pool.is_private(self.block_ids[-1]):"
NEW = "if count > -self.length % size:"
CAUGHT_BY = ("a_token_is_put_in_place_only_where_nobody_else_reads",)
