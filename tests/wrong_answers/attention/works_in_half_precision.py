"""Half-precision inputs are multiplied, summed and normalised in half precision."""

from unittest.mock import patch

from minillm.attention import naive

CAUGHT_BY = ("half_precision",)
real_scores, real_softmax = naive.attention_scores, naive.softmax_with_lse


def attention(q, k, v, **options):
    def scores(q_, k_, **rest):
        return real_scores(q_, k_, **rest).to(q.dtype)

    def softmax(scores_, sinks=None):
        probabilities, lse = real_softmax(scores_, sinks)
        return probabilities.to(q.dtype), lse

    with patch.object(naive, "attention_scores", scores), patch.object(naive, "softmax_with_lse", softmax):
        return naive.naive_attention(q, k, v, **options)
