"""The default scale divides by sqrt(H * D), the model's width, instead of the head's."""

from minillm.attention import naive

CAUGHT_BY = ("default_scale",)


def attention(q, k, v, *, scale=None, **options):
    width = q.shape[2] * q.shape[3]
    return naive.naive_attention(q, k, v, scale=width**-0.5 if scale is None else scale, **options)
