"""Another batcher's batch of the same number is taken for one of ours."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "if self._running.get(batch.number) is not batch:"
NEW = "if batch.number not in self._running:"
CAUGHT_BY = ["a_batch_ends_once"]
