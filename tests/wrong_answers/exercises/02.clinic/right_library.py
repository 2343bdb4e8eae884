"""The fused call, which shares heads itself."""

import torch.nn.functional as F


def answer(x, w_q, w_k, w_v, num_heads, num_kv_heads):
    q, k, v = (
        (x @ w.T).unflatten(-1, (heads, -1)).transpose(1, 2)
        for w, heads in ((w_q, num_heads), (w_k, num_kv_heads), (w_v, num_kv_heads))
    )
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return out.transpose(1, 2).flatten(2)
