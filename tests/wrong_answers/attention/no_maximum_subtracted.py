"""exp of the raw scores: the same answer until a score passes 88 in float32, then infinity over infinity."""

from unittest.mock import patch

from minillm.attention import naive

CAUGHT_BY = ("large_logits",)


def attention(q, k, v, **options):
    with patch.object(naive, "row_maximum", lambda scores: scores.new_zeros(scores.shape[:-1])):
        return naive.naive_attention(q, k, v, **options)
