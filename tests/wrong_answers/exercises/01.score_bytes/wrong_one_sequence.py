"""One sequence's tables for the whole batch."""

LAYER = "values"


def answer(batch, num_heads, query_length, key_length, element_bytes=2):
    return num_heads * query_length * key_length * element_bytes
