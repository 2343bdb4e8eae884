"""Adds the heads and does not divide."""

LAYER = "values"


def answer(weight, num_kv_heads, head_dim):
    heads = weight.reshape(num_kv_heads, -1, head_dim, weight.shape[1])
    return heads.sum(dim=1).flatten(0, 1)
