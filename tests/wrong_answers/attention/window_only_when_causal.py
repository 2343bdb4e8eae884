"""The window is ignored unless the call is causal."""

from minillm.attention import naive

CAUGHT_BY = ("window_counts_keys",)


def attention(q, k, v, *, window=None, causal=False, **options):
    return naive.naive_attention(q, k, v, window=window if causal else None, causal=causal, **options)
