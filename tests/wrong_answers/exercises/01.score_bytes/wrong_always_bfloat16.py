"""Every number has two bytes."""

LAYER = "values"


def answer(batch, num_heads, query_length, key_length, element_bytes=2):
    return batch * num_heads * query_length * key_length * 2
