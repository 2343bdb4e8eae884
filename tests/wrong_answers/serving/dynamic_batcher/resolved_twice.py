"""A request that fails is told so twice."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        for ticket in batch.tickets:\n            self._leave(ticket, FAILED, error)"
NEW = "        for ticket in (*batch.tickets, *batch.tickets[:1]):\n            self._leave(ticket, FAILED, error)"
CAUGHT_BY = ["an_error_ends_its_own_batch_only", "what_the_model_raises_reaches_its_futures"]
