"""Averages neighbouring rows, which are channels of one head."""

LAYER = "values"


def answer(weight, num_kv_heads, head_dim):
    rows = weight.reshape(num_kv_heads * head_dim, -1, weight.shape[1])
    return rows.mean(dim=1)
