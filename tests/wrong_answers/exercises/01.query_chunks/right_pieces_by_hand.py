"""Splits, masks by absolute position, spells the softmax out and joins the pieces."""

import torch


def answer(q, k, v, causal=False, chunk=64):
    L, S, D = q.shape[1], k.shape[1], q.shape[3]
    pieces, first = [], 0
    for rows in q.split(chunk, dim=1):
        last = first + rows.shape[1] - 1 + S - L
        seen = max(0, last + 1) if causal else S
        scores = (rows.transpose(1, 2) * D**-0.5) @ k[:, :seen].permute(0, 2, 3, 1)
        if causal:
            positions = torch.arange(first, first + rows.shape[1]) + S - L
            visible = torch.arange(seen) <= positions[:, None]
            scores = torch.where(visible, scores, torch.finfo(scores.dtype).min)
        else:
            visible = torch.ones(1, 1, dtype=torch.bool)
        if seen:
            scores = torch.exp(scores - scores.amax(-1, keepdim=True)) * visible
        total = scores.sum(-1, keepdim=True)
        mixed = (scores @ v[:, :seen].transpose(1, 2)) / torch.where(total == 0, 1, total)
        pieces.append(mixed.transpose(1, 2))
        first += rows.shape[1]
    return torch.cat(pieces, dim=1)
