"""A text is taken that is longer than its row of the table."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "and batch.max_seq_len <= self.max_length"
NEW = ""
CAUGHT_BY = ("what_is_taken",)
