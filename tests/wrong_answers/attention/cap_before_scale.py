"""The cap is applied to the raw product, and the scale to what it left."""

from unittest.mock import patch

import torch

from minillm.attention import naive

CAUGHT_BY = ("options_together",)
real = naive.attention_scores


def scores(q, k, *, softcap=0.0, scale=None, **options):
    raw = real(q, k, scale=1.0, **options)
    capped = softcap * torch.tanh(raw / softcap).masked_fill(raw.isneginf(), -torch.inf) if softcap else raw
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    return (capped * factor).masked_fill(raw.isneginf(), -torch.inf)


def attention(q, k, v, **options):
    with patch.object(naive, "attention_scores", scores):
        return naive.naive_attention(q, k, v, **options)
