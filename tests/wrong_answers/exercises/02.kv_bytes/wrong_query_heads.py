"""Counts the query heads, as if every one kept its own keys."""

LAYER = "values"


def answer(config, batch, length, element_bytes=2):
    return 2 * config.num_layers * config.num_heads * config.head_dim * batch * length * element_bytes
