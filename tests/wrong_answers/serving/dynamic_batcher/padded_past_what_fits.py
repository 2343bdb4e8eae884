"""A batch of an allowed size is padded to the next."""

FILE = "minillm/serving/batching/config.py"
OLD = "if allowed >= size), size)"
NEW = "if allowed > size), size)"
CAUGHT_BY = ["batches_are_padded_to_the_next_allowed_size"]
