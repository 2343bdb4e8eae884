"""One table for all heads."""

LAYER = "values"


def answer(batch, num_heads, query_length, key_length, element_bytes=2):
    return batch * query_length * key_length * element_bytes
