"""Rows that wait are not counted."""

FILE = "minillm/serving/batching/level_queues.py"
OLD = "if batches and self._rows + size > batches * batch:"
NEW = "if batches and self._count + size > batches * batch:"
CAUGHT_BY = ["waiting_rows_are_bounded_in_batches"]
