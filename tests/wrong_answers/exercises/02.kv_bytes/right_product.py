"""The product, written out."""


def answer(config, batch, length, element_bytes=2):
    numbers = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    return numbers * batch * length * element_bytes
