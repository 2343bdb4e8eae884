"""Keys are tiled g0 g1 g0 g1 instead of g0 g0 g1 g1, so query heads read the wrong neighbour."""

from unittest.mock import patch

from minillm.attention import naive

CAUGHT_BY = ("neighbours_share", "values")


def tiled(x, num_heads):
    return x.repeat(1, 1, num_heads // x.shape[2], 1)


def attention(q, k, v, **options):
    with patch.object(naive, "share_heads", tiled):
        return naive.naive_attention(q, k, v, **options)
