"""Uses the width of a weight for the cache too."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    numbers = 2 * config.num_layers * config.num_kv_heads * config.head_dim * batch * length
    return billions * 1e9 * weight_bytes, numbers * weight_bytes
