"""`softmax` as it comes: right forwards after a clean-up of its NaN, but rows that see nothing get NaN gradients."""

from unittest.mock import patch

import torch

from minillm.attention import naive

CAUGHT_BY = ("blind_rows",)


def softmax_with_lse(scores, sinks=None):
    if sinks is not None:
        column = sinks.to(scores.dtype)[:, None, None].expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, column], -1)
    probabilities = scores.softmax(-1)
    probabilities = (
        torch.where(probabilities.isnan(), 0.0, probabilities) if not scores.requires_grad else probabilities
    )
    return probabilities[..., : probabilities.shape[-1] - (sinks is not None)], scores.logsumexp(-1)


def attention(q, k, v, **options):
    with patch.object(naive, "softmax_with_lse", softmax_with_lse):
        return naive.naive_attention(q, k, v, **options)
