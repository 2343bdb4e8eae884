"""Right answers to lesson 02, by the id of their check. Each can stand in for the lesson's stub."""

import torch


def kv_bytes(config, batch, length, element_bytes=2):
    numbers_per_token = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    return numbers_per_token * batch * length * element_bytes


def grouped_attention(q, k, v, causal=False):
    (_, L, H, D), (_, S, G, _) = q.shape, k.shape
    q = q.unflatten(2, (G, H // G))
    scores = torch.einsum("blgrd,bsgd->bgrls", q, k) / D**0.5
    if causal:
        hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = scores.softmax(dim=-1).nan_to_num(0.0)  # a row that sees nothing is 0 / 0
    return torch.einsum("bgrls,bsgd->blgrd", weights, v).flatten(2, 3)


def mean_pool(weight, num_kv_heads, head_dim):
    heads = weight.reshape(num_kv_heads, -1, head_dim, weight.shape[1])  # (G, R, D, C)
    return heads.mean(dim=1).flatten(0, 1)


def mended_layer(x, w_q, w_k, w_v, num_heads, num_kv_heads):
    L, D = x.shape[1], w_q.shape[0] // num_heads  # not C / H: the weights know the head width
    q = (x @ w_q.T).unflatten(-1, (num_heads, D))
    k, v = ((x @ w.T).unflatten(-1, (num_kv_heads, D)) for w in (w_k, w_v))
    k, v = (t.repeat_interleave(num_heads // num_kv_heads, dim=2) for t in (k, v))  # neighbours share
    scores = torch.einsum("blhd,bshd->bhls", q, k) / D**0.5
    hidden = torch.arange(L) > torch.arange(L)[:, None]
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
    return torch.einsum("bhls,bshd->blhd", weights, v).flatten(2)


SOLUTIONS = {
    "02.kv_bytes": kv_bytes,
    "02.grouped": grouped_attention,
    "02.mean_pool": mean_pool,
    "02.clinic": mended_layer,
}
