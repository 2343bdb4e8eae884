"""Hands back the caller's own tensor when there is nothing to pool."""

LAYER = "contract"


def answer(weight, num_kv_heads, head_dim):
    heads = weight.reshape(num_kv_heads, -1, head_dim, weight.shape[1])
    if heads.shape[1] == 1:
        return weight
    return heads.mean(dim=1).flatten(0, 1)
