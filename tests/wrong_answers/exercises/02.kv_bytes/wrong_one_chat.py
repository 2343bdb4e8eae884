"""Forgets that every text of the batch is kept."""

LAYER = "values"


def answer(config, batch, length, element_bytes=2):
    return 2 * config.num_layers * config.num_kv_heads * config.head_dim * length * element_bytes
