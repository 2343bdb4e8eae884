"""Takes the model's width for the width of a key."""

LAYER = "values"


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    return billions * 1e9 * weight_bytes, 2 * config.num_layers * config.hidden_size * batch * length * cache_bytes
