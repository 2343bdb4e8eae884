"""Every batch is padded to the largest size."""

FILE = "minillm/serving/batching/config.py"
OLD = "for allowed in self.allowed_batch_sizes if allowed >= size), size)"
NEW = "for allowed in self.allowed_batch_sizes[-1:]), size)"
CAUGHT_BY = ["batches_are_padded_to_the_next_allowed_size"]
