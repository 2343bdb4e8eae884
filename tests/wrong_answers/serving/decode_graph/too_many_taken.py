"""More texts are taken than there are rows."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "len(batch.counts) <= self.sizes[-1]"
NEW = "len(batch.counts) <= self.sizes[-1] + 1"
CAUGHT_BY = ("what_is_taken",)
