"""The scores of rows that nobody has are given out."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "return self.calls[size]()[: len(token_ids)]"
NEW = "return self.calls[size]()"
CAUGHT_BY = ("every_row_is_the_steps_own",)
