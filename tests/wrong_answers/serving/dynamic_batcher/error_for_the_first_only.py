"""Only the first request of a batch hears of the error."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        for ticket in batch.tickets:\n            self._leave(ticket, FAILED, error)"
NEW = "        for ticket in batch.tickets[:1]:\n            self._leave(ticket, FAILED, error)"
CAUGHT_BY = ["an_error_ends_its_own_batch_only"]
