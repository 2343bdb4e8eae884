"""Rows that nobody asked for are counted as served."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "self._statistics.inference_count += batch.size"
NEW = "self._statistics.inference_count += batch.padded_size"
CAUGHT_BY = ["statistics_are_those_of_triton"]
