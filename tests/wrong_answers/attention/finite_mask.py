"""Hidden keys score -1e9 instead of -inf: a row that sees nothing then averages all it should not see."""

from unittest.mock import patch

from minillm.attention import naive

CAUGHT_BY = ("blind_rows",)
real = naive.attention_scores


def scores(q, k, **options):
    return real(q, k, **options).clamp_min(-1e9)


def attention(q, k, v, **options):
    with patch.object(naive, "attention_scores", scores):
        return naive.naive_attention(q, k, v, **options)
