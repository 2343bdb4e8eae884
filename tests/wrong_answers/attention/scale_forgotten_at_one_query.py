"""The short cut for one query forgets the caller's scale and uses the default."""

from minillm.attention import naive

CAUGHT_BY = ("options_together",)


def attention(q, k, v, *, scale=None, **options):
    return naive.naive_attention(q, k, v, scale=None if q.shape[1] == 1 else scale, **options)
