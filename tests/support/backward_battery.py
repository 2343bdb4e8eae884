"""What a backward of attention must get right, as named checks that take the function under test and the size of the cases.

The function has `flash_backward`'s signature. Each check aims at faults that square, unmasked, one-headed inputs never
show, and raises AssertionError when one is there. The expected gradients are autograd's, through the naive form in float64.
"""

import math
from itertools import cycle, product
from unittest.mock import patch

import torch
from attention_cases import every_other, heads_first, packed, padded
from flash_battery import DTYPES, GROUPS, HALF, WIDTHS, largest, make, plans, rms, with_sinks

from minillm.attention.naive import attention_scores, naive_attention, share_heads, softmax_with_lse, visible

NAMES = ("dq", "dk", "dv", "dsinks")
CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def gradients(forward, dout, dlse, q, k, v, sinks=None, **options):
    """Autograd's gradients of sum(out * dout) + sum(lse * dlse), through a form that returns both."""
    inputs = [x.detach().clone().requires_grad_() for x in (q, k, v, *([] if sinks is None else [sinks]))]
    options = options if sinks is None else {**options, "sinks": inputs[3]}
    out, lse = forward(*inputs[:3], **options)
    loss = (out.double() * dout.double()).sum()
    if dlse is not None:
        loss = loss + (lse.masked_fill(lse == -math.inf, 0).double() * dlse.double()).sum()
    found = torch.autograd.grad(loss, inputs, allow_unused=True) if loss.requires_grad else [None] * len(inputs)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def exact(q, k, v, **options):
    return naive_attention(q, k, v, return_lse=True, **options)


def oracle(dout, dlse, q, k, v, sinks=None, **options):
    wide = None if sinks is None else sinks.double()
    return gradients(exact, dout, dlse, q.double(), k.double(), v.double(), wide, **options)


def rounding(q, k, v, *, causal=False, window=None, softcap=0.0, sinks=None, scale=None):
    """The naive form as a chain of half-precision operations; autograd then rounds what flows back at the same places."""
    scores = attention_scores(q, k, softcap=softcap, scale=scale).to(q.dtype).float()
    scores = scores.masked_fill(~visible(q.shape[1], k.shape[1], causal, window, q.device), -math.inf)
    probabilities, lse = softmax_with_lse(scores, sinks)
    values = share_heads(v.float(), q.shape[2]).transpose(1, 2)
    return (probabilities.to(q.dtype).float() @ values).transpose(1, 2).to(q.dtype), lse


def noise(like, seed=7):
    """A gradient of the same shape, dtype and place, with neither zeros nor symmetry."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device, like.dtype)


def run(backward, q, k, v, *, with_dlse=False, dout=None, **options):
    """Forward by the naive form, then the backward under test -> its gradients, dout and dlse."""
    out, lse = exact(q, k, v, **options)
    dout = noise(out) if dout is None else dout
    dlse = noise(lse, 11) if with_dlse else None
    return backward(dout, q, k, v, out, lse, dlse=dlse, **options), dout, dlse


# The largest share of the rounding naive form's mean square error that is allowed in half precision.
RELATIVE = 0.8


def faithful(backward, q, k, v, *, where="", tolerance=2e-5, relative=RELATIVE, with_dlse=False, dout=None, **options):
    """Hold every gradient against float64; returns them.

    float32: within `tolerance` of the largest gradient. Halves: twice the error of the rounding naive form and a floor
    of one rounding (Dao's rule), and where there are 128 keys, at most `relative` of its root mean square error.
    """
    where = f"{where} {q.dtype} q {tuple(q.shape)} k {tuple(k.shape)} {options} dlse={with_dlse}"
    got, dout, dlse = run(backward, q, k, v, with_dlse=with_dlse, dout=dout, **options)
    want = oracle(dout, dlse, q, k, v, **options)
    rounded = gradients(rounding, dout, dlse, q, k, v, **options) if q.dtype in HALF else want
    assert len(got) == len(want), f"{where}: {len(got)} gradients"
    for name, g, w, r in zip(NAMES, got, want, rounded, strict=False):
        at = f"{where}: {name}"
        assert g.shape == w.shape and g.dtype == (options["sinks"] if name == "dsinks" else q).dtype, at
        assert g.isfinite().all(), f"{at} is not finite"
        error = largest(g.double() - w)
        if q.dtype not in HALF:
            floor = 1e-6 * max(1.0, largest(w)) if name == "dsinks" else 1e-7  # a sum that nearly cancels
            assert error <= tolerance * largest(w) + floor, f"{at}: error {error:.1e}, largest {largest(w):.1e}"
            continue
        allowed = 2 * largest(r.double() - w) + 2 * torch.finfo(q.dtype).eps * largest(w)
        assert error <= allowed, f"{at}: error {error:.1e}, allowed {allowed:.1e}"
        if name != "dsinks" and k.shape[1] >= 128 and q.shape[1] >= 64:
            share = rms(g.double() - w) / rms(r.double() - w)
            assert share <= relative, f"{at}: {share:.2f} of the rounding form's error, allowed {relative}"
    return got


@check
def values(backward, size):
    """Every plan of options on two pairs of lengths; pairs, dtypes and the gradient of lse go round."""
    turns = zip(cycle(size.pairs), cycle(DTYPES), cycle((False, True)), strict=False)
    for plan, (L, S), dtype, with_dlse in ((plan, *next(turns)) for plan in plans(size) * 2):
        q, k, v = make(size, L, S, B=2 if L == 1 else 1, dtype=dtype, seed=L + S)
        faithful(backward, q, k, v, with_dlse=with_dlse, **with_sinks(plan, 1, size))


@check
def edges_of_tiles(backward, size):
    """Diagonals and windows that begin or end on, just before and just after an edge that tiles may have."""
    for shift, window in ((-2, None), (-1, None), (1, None), (0, 63), (0, 64), (0, 65)):
        q, k, v = make(size, 128, 128 + shift, seed=shift + 5)
        faithful(backward, q, k, v, causal=True, window=window)
    for window in (1, 64, 2**40):
        faithful(backward, *make(size, 129, 64), window=window)


@check
def blind_rows(backward, size):
    """Rows that see nothing have zero gradients, never NaN, and give none; with a sink as without."""
    for (L, S), plan in product(
        ((size.long, size.short), (size.short, 1), (65, 1)), ({}, {"softcap": 2.0}, {"window": 5}, {"sinks": True})
    ):
        q, k, v = make(size, L, S)
        dq = faithful(backward, q, k, v, with_dlse=True, **{**with_sinks(plan, 1, size), "causal": True})[0]
        assert dq[:, : L - S].eq(0).all(), f"{L}x{S} {plan}: a row that sees nothing has a gradient"


@check
def ragged_end(backward, size):
    """No causal mask hides the padding of the last tiles, and every real score is far below its zeros."""
    for L, S in ((size.short, size.odd), (3, 5)):
        q, k, v = make(size, L, S)
        faithful(
            backward, 5 + 0.3 * q, 0.3 * k - 5, v, tolerance=1e-4
        )  # scores of -140: exp2 of minus their lse overflows


@check
def large_logits(backward, size):
    """Logits of 100 in one half of the keys and -100 in the other, beside rows where it is the other way, or all are small."""
    L, S = size.pairs[1]
    for dtype, causal in product((torch.float32, torch.bfloat16), (False, True)):
        q, k, v = make(size, L, S, D=64, dtype=dtype)
        q, k = q / 8, k / 8
        q[..., 0], k[..., 0] = 80.0, 10.0  # 80 * 10 / sqrt(64)
        q[:, 1::3, :, 0] *= -1
        q[:, 2::3, :, 0] = 0
        k[:, S // 2 :, :, 0] *= -1
        # A float32 logit of 100 is known to 1e-5, and so is its exponential. In the halves p is 0 or alone, dp - delta
        # cancels, and what is left is the rounding of `out` inside delta, which the naive form does not need.
        faithful(backward, q, k, v, tolerance=1e-4, relative=2.0, causal=causal)


@check
def cap_slope(backward, size):
    """Scores well up the bend of a cap, where its slope is far from one."""
    for causal in (False, True):
        faithful(backward, *make(size, size.short, size.odd), scale=1.5, softcap=3.0, causal=causal)
    q, k, v = make(size, size.short, size.odd)
    for scale in (2.0, -2.0):  # so low a cap that scale / softcap is no float32, and a dot of exactly 0
        q[:, 0] = 0
        dq, dk, dv = run(backward, q, k, v, scale=scale, softcap=1e-38)[0]
        assert all(g.isfinite().all() for g in (dq[:, 1:], dk, dv)), f"scale {scale}, softcap 1e-38"


@check
def grouped_heads(backward, size):
    """Every grouping of heads, all heads different: a key's gradient is the sum over the heads that share it."""
    for (H, G), dtype in zip(GROUPS, cycle(DTYPES), strict=False):
        faithful(backward, *make(size, size.short // 2, size.short, H, G, dtype=dtype), causal=True)


@check
def any_scale(backward, size):
    """Scores may be turned over or flattened: a negative scale, and none at all."""
    for scale, softcap in product((-0.3, 0.0), (0.0, 2.0)):
        q, k, v = make(size, size.short, size.odd)
        dq, dk, *_ = faithful(backward, q, k, v, scale=scale, softcap=softcap, causal=True)
        assert scale or (largest(dq) == 0 and largest(dk) == 0)


@check
def sinks_and_lse(backward, size):
    """The sinks' gradient, and what the gradient of lse adds to all others."""
    for with_dlse, dtype in (
        (False, torch.float32),
        (True, torch.float32),
        (False, torch.bfloat16),
        (True, torch.float16),
    ):
        q, k, v = make(size, size.short, size.short, H=2, B=2, dtype=dtype)
        sinks = torch.tensor([2.0, -1.0], device=size.device)
        faithful(backward, q, k, v, sinks=sinks, with_dlse=with_dlse, causal=True)


@check
def half_precision(backward, size):
    """With many tiles and no mask, half-precision inputs cost a rounding of p and ds and one of each gradient.

    That is 0.6 of the rounding form's error; a sum kept in half precision costs 0.8 at the smallest size, and grows.
    """
    for dtype, D in product(HALF, (32, 64)):
        faithful(backward, *make(size, size.long, size.long, D=D, dtype=dtype), relative=0.7)


@check
def widths(backward, size):
    """Every head width, 80 and 96 and one below the narrowest dot among them, the dtypes going round."""
    for D, dtype in zip(WIDTHS, cycle(DTYPES), strict=False):
        faithful(backward, *make(size, size.short, size.short, D=D, dtype=dtype), causal=D % 32 == 0)


@check
def strided_views(backward, size):
    """Views of packed and padded memory, all with different strides, NaN in everything that is not theirs."""
    q, k, v = make(size, size.short, size.odd, H=4, G=2, D=80)
    out, lse = exact(q, k, v)
    dout = noise(out)
    want = oracle(dout, None, q, k, v)
    for lay_out in (packed, heads_first, every_other):
        beside = torch.stack([lse, torch.full_like(lse, math.nan)], -1)[..., 0]
        views = heads_first(dout), lay_out(q), lay_out(k), padded(v), packed(out), beside
        for name, got, right in zip(NAMES, backward(*views), want, strict=False):
            assert not got.isnan().any(), f"{lay_out.__name__}: {name}: NaN from beside the tensors"
            assert largest(got - right) <= 2e-5 * largest(right), f"{lay_out.__name__}: {name}"


@check
def broadcast_dout(backward, size):
    """The gradient of a sum is one number seen everywhere, with no stride at all; that of a mean over rows has none there."""
    q, k, v = make(size, size.short, size.odd, H=2)
    for dout in (torch.ones((), device=size.device).expand(q.shape), noise(q[:, :1]).expand(q.shape)):
        faithful(backward, q, k, v, dout=dout, causal=True)


@check
def fresh_memory(backward, size):
    """Gradients are written everywhere: fresh memory that holds NaN shows in none of them."""
    real = torch.empty

    def poisoned(*shape, **kinds):
        made = real(*shape, **kinds)
        return made.fill_(math.nan) if made.is_floating_point() else made

    for (L, S), plan in product([*size.pairs, (size.short, 0), (0, size.short)], ({}, {"causal": True, "window": 3})):
        q, k, v = make(size, L, S)
        with patch.object(torch, "empty", poisoned):
            faithful(backward, q, k, v, where="fresh memory", **plan)


@check
def none_and_one(backward, size):
    """No batch, no query, no key, one of each: shapes are kept, and nothing to see gives zeros."""
    for (B, L, S), causal in product(((0, 5, 5), (2, 0, 5), (2, 5, 0), (0, 0, 0), (2, 1, 1), (1, 1, 5)), (False, True)):
        faithful(backward, *make(size, L, S, H=4, G=2, B=B), causal=causal, with_dlse=True)


@check
def same_twice(backward, size):
    """The same call gives the same bits."""
    for dtype in DTYPES:
        q, k, v = make(size, size.short, size.odd, H=2, dtype=dtype)
        once, again = (run(backward, q, k, v, causal=True)[0] for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)), f"{dtype}"


@check
def alone_or_in_a_batch(backward, size):
    """What else is in the batch, and which other heads there are, does not change a bit."""
    q, k, v = make(size, size.short, size.short + 5, H=4, G=2, B=2)
    together = run(backward, q, k, v, causal=True)[0]
    dout = noise(q)
    alone = run(backward, q[1:, :, 2:], k[1:, :, 1:], v[1:, :, 1:], causal=True, dout=dout[1:, :, 2:])[0]
    parts = together[0][1:, :, 2:], together[1][1:, :, 1:], together[2][1:, :, 1:]
    assert all(torch.equal(a, b) for a, b in zip(alone, parts, strict=True)), "it differs when it is alone"


@check
def inputs_left_alone(backward, size):
    """Nothing is written to what came in."""
    q, k, v = make(size, 9, 9, H=2)
    options = {"causal": True, "window": 5, "softcap": 2.0, "sinks": torch.ones(2, device=size.device), "scale": -0.5}
    out, lse = exact(q, k, v, **options)
    inputs = noise(out), q, k, v, out, lse, noise(lse)
    before = [x.clone() for x in inputs]
    backward(*inputs[:6], dlse=inputs[6], **options)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "an input was written to"
