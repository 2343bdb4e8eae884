"""Averages into the caller's own rows."""

LAYER = "contract"


def answer(weight, num_kv_heads, head_dim):
    heads = weight.view(num_kv_heads, -1, head_dim, weight.shape[1])
    heads[:, 0] = heads.mean(dim=1)
    return heads[:, 0].flatten(0, 1).clone()
