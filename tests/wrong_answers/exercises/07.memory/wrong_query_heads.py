"""Counts query heads."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    return (
        billions * 1e9 * weight_bytes,
        2 * config.num_layers * config.num_heads * config.head_dim * batch * length * cache_bytes,
    )
