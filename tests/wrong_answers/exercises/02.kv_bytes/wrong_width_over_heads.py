"""Takes C / H for the head width."""

LAYER = "values"


def answer(config, batch, length, element_bytes=2):
    width = config.hidden_size // config.num_heads
    return 2 * config.num_layers * config.num_kv_heads * width * batch * length * element_bytes
