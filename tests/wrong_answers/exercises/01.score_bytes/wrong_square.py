"""Squares the number of queries: right only when L = S."""

LAYER = "values"


def answer(batch, num_heads, query_length, key_length, element_bytes=2):
    return batch * num_heads * query_length**2 * element_bytes
