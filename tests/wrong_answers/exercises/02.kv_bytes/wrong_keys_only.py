"""Forgets the values."""

LAYER = "values"


def answer(config, batch, length, element_bytes=2):
    return config.num_layers * config.num_kv_heads * config.head_dim * batch * length * element_bytes
