"""Sums over layers and heads."""


def answer(billions, config, batch, length, weight_bytes=2, cache_bytes=2):
    kept = 0
    for _layer in range(config.num_layers):
        for _head in range(config.num_kv_heads):
            kept += batch * length * config.head_dim * cache_bytes  # keys
            kept += batch * length * config.head_dim * cache_bytes  # values
    return [billions * weight_bytes * 10**9, kept]
