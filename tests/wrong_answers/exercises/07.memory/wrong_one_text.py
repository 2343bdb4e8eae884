"""Forgets that every text is kept."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    return (
        billions * 1e9 * weight_bytes,
        2 * config.num_layers * config.num_kv_heads * config.head_dim * length * cache_bytes,
    )
