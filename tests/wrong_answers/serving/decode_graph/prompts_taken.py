"""A prompt is taken for single tokens."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "batch.max_query_len == 1 and len"
NEW = "len"
CAUGHT_BY = ("what_is_taken",)
