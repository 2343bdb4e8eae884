"""One group at a time: its query heads become more rows of one product."""

import torch


def answer(q, k, v, causal=False):
    (B, L, H, D), (_, S, G, _) = q.shape, k.shape
    groups = []
    for g, rows in enumerate(q.chunk(G, dim=2)):  # (B, L, R, D)
        rows = rows.transpose(1, 2).reshape(B, -1, D)  # (B, R * L, D)
        scores = (rows @ k[:, :, g].mT / D**0.5).unflatten(1, (H // G, L))
        if causal:
            hidden = torch.arange(S) > torch.arange(L)[:, None] + S - L
            scores = scores.masked_fill(hidden, float("-inf"))
        weights = torch.softmax(scores, dim=-1).nan_to_num(0.0).flatten(1, 2)
        groups.append((weights @ v[:, :, g]).unflatten(1, (H // G, L)).transpose(1, 2))
    return torch.cat(groups, dim=2)
