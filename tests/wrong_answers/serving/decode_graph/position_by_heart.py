"""One text's position is a number, which a recorded step would have by heart."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "        return self.token_positions\n"
NEW = "        return self.token_positions if self.size > 1 else (self.max_seq_len - 1, self.max_seq_len)\n"
CAUGHT_BY = ("buffers_stay_where_they_are",)
