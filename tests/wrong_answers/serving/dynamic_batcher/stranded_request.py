"""A request that fits no batch is let in, and waits for ever."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "if size > self.config.max_batch_size:"
NEW = "if size > 10 * self.config.max_batch_size:"
CAUGHT_BY = ["too_large_is_refused_at_the_door", "wrong_calls_are_refused_at_once"]
