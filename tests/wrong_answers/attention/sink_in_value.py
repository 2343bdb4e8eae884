"""The sink brings a value, the mean of the others, so its share never leaves the output."""

from minillm.attention import naive

CAUGHT_BY = ("sinks_have_no_value",)


def attention(q, k, v, *, sinks=None, return_lse=False, **options):
    out, lse = naive.naive_attention(q, k, v, sinks=sinks, return_lse=True, **options)
    if sinks is not None and k.shape[1]:
        share = (sinks[:, None] - lse).exp().transpose(1, 2)[..., None]  # (B, L, H, 1)
        out = out + share * naive.share_heads(v.mean(1, keepdim=True), q.shape[2])
    return (out, lse) if return_lse else out
