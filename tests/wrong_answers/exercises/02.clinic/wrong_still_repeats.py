"""Scale and width mended, heads still in the wrong order."""

import torch

LAYER = "values"


def answer(x, w_q, w_k, w_v, num_heads, num_kv_heads):
    L, D = x.shape[1], w_q.shape[0] // num_heads
    q = (x @ w_q.T).unflatten(-1, (num_heads, D))
    k = (x @ w_k.T).unflatten(-1, (num_kv_heads, D))
    v = (x @ w_v.T).unflatten(-1, (num_kv_heads, D))
    k = k.repeat(1, 1, num_heads // num_kv_heads, 1)
    v = v.repeat(1, 1, num_heads // num_kv_heads, 1)
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    hidden = torch.arange(L) > torch.arange(L)[:, None]
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
    return torch.einsum("bhls,bshd->blhd", weights, v).flatten(2)
