"""One program a text walks over the keys of all its heads, a tile of each at a time."""

import math

import torch

from minillm.measure.chip import load, on_chip, store


def answer(q, k, v, block_s=64):
    D, (S, G) = q.shape[2], k.shape[1:3]
    state = torch.promote_types(q.dtype, torch.float32)
    out = torch.empty_like(q)
    for text in range(len(q)):
        for g in range(G):
            rows = q[text].unflatten(0, (G, -1))[g]
            with on_chip():
                queries = load(rows).to(state) * D**-0.5
                total, mixed = torch.zeros(len(rows), 1, dtype=state), torch.zeros(rows.shape, dtype=state)
                highest = torch.full((len(rows), 1), -math.inf, dtype=state)
                for start in range(0, S, block_s):
                    scores = queries @ load(k[text, start : start + block_s, g]).to(state).mT
                    now = torch.maximum(highest, scores.amax(1, keepdim=True))
                    weights = (scores - now).exp()
                    shrink = (highest - now).exp()
                    mixed = mixed * shrink + weights @ load(v[text, start : start + block_s, g]).to(state)
                    total, highest = total * shrink + weights.sum(1, keepdim=True), now
                store(out[text].unflatten(0, (G, -1))[g], mixed / total)
    return out
