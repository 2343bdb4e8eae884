"""A thread whose model raised counts as busy for ever."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        self._end(batch, now)\n        for ticket in batch.tickets:\n            self._leave(ticket, FAILED"
NEW = "        for ticket in batch.tickets:\n            self._leave(ticket, FAILED"
CAUGHT_BY = ["a_model_must_answer_everybody", "what_the_model_raises_reaches_its_futures"]
