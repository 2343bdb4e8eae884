"""Ignores the bytes of a number."""

LAYER = "values"


def answer(config, batch, length, element_bytes=2):
    return 2 * config.num_layers * config.num_kv_heads * config.head_dim * batch * length * 2
