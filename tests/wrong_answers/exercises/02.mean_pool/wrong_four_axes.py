"""Forgets to put the heads back into rows."""

LAYER = "contract"


def answer(weight, num_kv_heads, head_dim):
    heads = weight.reshape(num_kv_heads, -1, head_dim, weight.shape[1])
    return heads.mean(dim=1)
