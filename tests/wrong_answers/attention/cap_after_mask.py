"""The cap comes after the mask: tanh(-inf) is -1, so a hidden key comes back with a score of -softcap."""

from unittest.mock import patch

import torch

from minillm.attention import naive

CAUGHT_BY = ("cap_then_mask",)
real = naive.attention_scores


def scores(q, k, *, softcap=0.0, **options):
    masked = real(q, k, **options)
    return softcap * torch.tanh(masked / softcap) if softcap else masked


def attention(q, k, v, **options):
    with patch.object(naive, "attention_scores", scores):
        return naive.naive_attention(q, k, v, **options)
