"""The sink takes its share of the probabilities and is forgotten in the log-sum-exp."""

from minillm.attention import naive

CAUGHT_BY = ("natural_log_lse",)


def attention(q, k, v, *, return_lse=False, sinks=None, **options):
    out = naive.naive_attention(q, k, v, sinks=sinks, **options)
    return (out, naive.naive_attention(q, k, v, return_lse=True, **options)[1]) if return_lse else out
