"""Guesses the layers from the size of another model's."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    layers = billions * 1e9 / (12 * 768**2)
    return (
        billions * 1e9 * weight_bytes,
        2 * layers * config.num_kv_heads * config.head_dim * batch * length * cache_bytes,
    )
