"""Takes C / H for the head width."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    width = config.hidden_size // config.num_heads
    return (
        billions * 1e9 * weight_bytes,
        2 * config.num_layers * config.num_kv_heads * width * batch * length * cache_bytes,
    )
