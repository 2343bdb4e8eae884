"""Values are read with the keys' strides, right only while both lie in memory the same way."""

import torch

from minillm.attention import naive

CAUGHT_BY = ("strided_views",)


def attention(q, k, v, **options):
    reach = sum((n - 1) * step for n, step in zip(k.shape, k.stride(), strict=True)) + v.storage_offset()
    if k.numel() and reach < v.untyped_storage().nbytes() // v.element_size():
        v = torch.as_strided(v, v.shape, k.stride())
    return naive.naive_attention(q, k, v, **options)
