"""One query a text: query head h reads key head h mod G, as `repeat` lays them out, and not h // (H / G)."""

from unittest.mock import patch

import torch.nn.functional as F

from minillm.attention import sdpa

CAUGHT_BY = ("every_step", "any_chunking")


def attend_one_query(q, k, v, scale):
    share = q.shape[2] // k.shape[2]
    keys, values = k.repeat(1, 1, share, 1), v.repeat(1, 1, share, 1)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), scale=scale)
    return out.transpose(1, 2)


def broken():
    return patch.object(sdpa, "attend_one_query", attend_one_query)
