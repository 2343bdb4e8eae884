"""Multiplies billions as if they were parameters."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    numbers = 2 * config.num_layers * config.num_kv_heads * config.head_dim * batch * length
    return billions * weight_bytes, numbers * cache_bytes
