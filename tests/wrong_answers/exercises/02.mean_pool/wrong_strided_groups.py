"""Groups heads that are G apart instead of neighbours."""

LAYER = "values"


def answer(weight, num_kv_heads, head_dim):
    heads = weight.reshape(-1, num_kv_heads, head_dim, weight.shape[1])
    return heads.mean(dim=0).flatten(0, 1)
