"""Cuts every text to its length, so that nothing has to be hidden."""

import torch


def answer(q, k, v, seq_lens):
    (_, H, D), G = q.shape, k.shape[2]
    out = torch.zeros_like(q)
    for b, length in enumerate(seq_lens.tolist()):
        if length:
            rows = q[b].view(G, H // G, D)
            scores = rows @ k[b, :length].permute(1, 2, 0) * D**-0.5
            out[b] = (scores.softmax(-1) @ v[b, :length].transpose(0, 1)).reshape(H, D)
    return out
