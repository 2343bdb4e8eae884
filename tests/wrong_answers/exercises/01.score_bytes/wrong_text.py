"""Returns text for people."""

LAYER = "contract"


def answer(batch, num_heads, query_length, key_length, element_bytes=2):
    return f"{batch * num_heads * query_length * key_length * element_bytes} bytes"
