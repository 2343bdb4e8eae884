"""What a block-wise attention must get right, as named checks that take the function under test and the size of the cases.

A block-wise attention can be wrong in ways that square random inputs never show: a maximum that never grows, an end that
every tile divides, a mask that hides the padding. Each check aims at one such fault and raises AssertionError when it is
there. The expected values are those of the naive form in float64.
"""

import math
from dataclasses import dataclass
from itertools import cycle, product
from unittest.mock import patch

import torch
from attention_cases import every_other, heads_first, packed, padded, tensors

from minillm.attention.naive import attention_scores, naive_attention, share_heads, visible

HALF = (torch.float16, torch.bfloat16)
DTYPES = (torch.float32, *HALF)
WIDTHS = (5, 16, 32, 64, 80, 96, 128, 256)
GROUPS = ((3, 1), (6, 3), (4, 4), (10, 5), (8, 8))
CHECKS = {}


@dataclass(frozen=True)
class Size:
    """How long the cases are, in tokens, and where they lie; no tile divides `short`, `odd` or `long`."""

    short: int
    odd: int
    long: int
    device: str = "cpu"

    @property
    def pairs(self):
        """(L, S): square, more keys, more queries, one query."""
        return (self.odd, self.odd), (self.short, self.long), (self.long, self.short), (1, self.long)


SMALL = Size(short=70, odd=131, long=199)


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def plans(size):
    """Combinations of options, with windows that begin inside a tile.

    Caps leave scores of a few: where all are below one, rounding them costs nothing, and rounding forms err no more.
    """
    w = size.short // 2
    return [
        {},
        {"causal": True},
        {"window": w},
        {"causal": True, "window": w},
        {"causal": True, "softcap": 6.0},
        {"sinks": True},
        {"causal": True, "sinks": True, "window": size.short + 3},
        {"scale": -0.3, "causal": True},
        {"causal": True, "window": w, "softcap": 4.0, "sinks": True, "scale": -0.4},
    ]


def make(size, L, S, H=1, G=1, D=32, B=1, dtype=torch.float32, seed=0):
    return tuple(x.to(size.device) for x in tensors(L, S, H, G, D, B, dtype, seed))


def with_sinks(plan, H, size):
    return {**plan, "sinks": torch.linspace(2.0, -1.5, H, device=size.device)} if plan.get("sinks") else plan


def oracle(q, k, v, **options):
    return naive_attention(q.double(), k.double(), v.double(), return_lse=True, **options)


def rounding_naive(q, k, v, *, causal=False, window=None, softcap=0.0, sinks=None, scale=None):
    """The naive form as a chain of half-precision operations: scores, probabilities and output are each rounded."""
    scores = attention_scores(q, k, softcap=softcap, scale=scale).to(q.dtype).float()
    scores = scores.masked_fill(~visible(q.shape[1], k.shape[1], causal, window, q.device), -math.inf)
    if sinks is not None:
        column = sinks.float()[:, None, None].expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, column], -1)
    probabilities = scores.softmax(-1).nan_to_num()[..., : k.shape[1]].to(q.dtype).float()
    values = share_heads(v.float(), q.shape[2]).transpose(1, 2)
    return (probabilities @ values).transpose(1, 2).to(q.dtype)


def largest(x):
    return x.abs().amax().item() if x.numel() else 0.0


def rms(x):
    return x.double().square().mean().sqrt().item()


def faithful(attention, q, k, v, where="", tolerance=2e-5, **options):
    """Run the attention and hold out and lse against float64; returns out.

    float32: within `tolerance` of the largest output. Halves: twice the error of the rounding naive form (Dao's rule),
    and from 128 keys on at most 0.8 of its mean square error, which accumulating in half precision does not keep.
    """
    where = f"{where} {q.dtype} q {tuple(q.shape)} k {tuple(k.shape)} {options}"
    out, lse = attention(q, k, v, return_lse=True, **options)
    want, want_lse = oracle(q, k, v, **options)
    assert out.dtype == q.dtype and out.shape == want.shape, f"{where}: out {out.dtype} {tuple(out.shape)}"
    assert lse.shape == want_lse.shape, f"{where}: lse {tuple(lse.shape)}"
    assert not out.isnan().any() and not lse.isnan().any(), f"{where}: NaN"
    torch.testing.assert_close(lse.double(), want_lse, atol=2e-5, rtol=2e-5, msg=lambda text: f"{where}: lse: {text}")
    error = largest(out.double() - want)
    if q.dtype not in HALF:
        assert error <= tolerance * largest(want), f"{where}: error {error:.1e} for outputs up to {largest(want):.1e}"
        return out
    rounded = rounding_naive(q, k, v, **options).double() - want
    allowed = 2 * largest(rounded) + 2 * largest(((want.to(q.dtype) + 0.3) - 0.3).double() - want)
    assert error <= allowed, f"{where}: error {error:.1e}, allowed {allowed:.1e}"
    if k.shape[1] >= 128 and q.shape[1] >= 64:
        relative = rms(out.double() - want) / rms(rounded)
        assert relative <= 0.8, f"{where}: {relative:.2f} of the rounding naive form's error, allowed 0.8"
    return out


@check
def values(attention, size):
    """Every plan of options on every pair of lengths, the dtypes going round."""
    dtypes = cycle(DTYPES)
    for (L, S), plan in product(size.pairs, plans(size)):
        q, k, v = make(size, L, S, B=2 if L == 1 else 1, dtype=next(dtypes), seed=L + S)
        faithful(attention, q, k, v, **with_sinks(plan, 1, size))


@check
def rising_keys(attention, size):
    """Keys grow along the sequence, so that every tile brings a larger maximum."""
    for dtype, causal in product(DTYPES, (False, True)):
        q, k, v = make(size, size.odd, size.long, dtype=dtype)
        k = k * torch.linspace(0.1, 4.0, size.long, device=size.device, dtype=dtype)[:, None, None]
        faithful(attention, q, k, v, causal=causal)


@check
def half_precision(attention, size):
    """With many tiles and no mask, half-precision inputs cost a rounding of the probabilities and one of the output."""
    for dtype, D in product(HALF, (32, 64)):
        faithful(attention, *make(size, size.short, size.long, D=D, dtype=dtype))


@check
def ones_stay_one(attention, size):
    """Values of one come out as one: to 1e-5 in float32, to the last bit but one in the halves."""
    for dtype, (L, S), causal in product(DTYPES, size.pairs[:2], (False, True)):
        q, k, v = make(size, L, S, dtype=dtype)
        out = attention(2 * q, k, torch.ones_like(v), causal=causal)
        error, allowed = largest(out.float() - 1), 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
        assert error <= allowed, f"{dtype} {L}x{S} causal={causal}: V = 1 gives 1 ± {error:.1e}"


@check
def large_logits(attention, size):
    """Logits of 100 in one half of the keys and -100 in the other, beside rows where it is the other way, or all are small."""
    L, S = size.pairs[1]
    for dtype, causal in product(DTYPES, (False, True)):
        q, k, v = make(size, L, S, D=64, dtype=dtype)
        q, k = q / 8, k / 8
        q[..., 0], k[..., 0] = 80.0, 10.0  # 80 * 10 / sqrt(64)
        q[:, 1::3, :, 0] *= -1
        q[:, 2::3, :, 0] = 0
        k[:, S // 2 :, :, 0] *= -1
        # A float32 logit of 100 is known to 1e-5, and so is its exponential.
        faithful(attention, q, k, v, tolerance=1e-4, causal=causal)


@check
def bottom_right(attention, size):
    """The last query stands at the last key; rows that see nothing give exactly 0 and lse -inf, or the sink."""
    for (L, S), plan in product([*size.pairs, (size.long, 1)], ({}, {"softcap": 2.0}, {"window": 5}, {"sinks": True})):
        q, k, v = make(size, L, S)
        options = {**with_sinks(plan, 1, size), "causal": True}
        out = faithful(attention, q, k, v, **options)
        assert out[:, : max(L - S, 0)].eq(0).all(), f"{L}x{S} {plan}: a row that sees nothing is not 0"


@check
def ragged_end(attention, size):
    """No causal mask hides the padding of the last tile, and every real score is far below its zeros."""
    for L, S in ((size.short, size.odd), (size.odd, size.long), (3, 5)):
        q, k, v = (x.abs() for x in make(size, L, S))
        faithful(attention, q, -k, v)


@check
def hidden_under_a_cap(attention, size):
    """A hidden key stays hidden under a cap: its value, however large, never shows."""
    q, k, v = make(size, size.odd, size.odd)
    v[:, -1] = 1e6
    options = {"causal": True, "softcap": 2.0}
    got, want = attention(q, k, v, **options)[:, :-1], oracle(q, k, v, **options)[0][:, :-1]
    assert largest(got - want) <= 2e-5 * largest(want), "the last value shows in rows before it"


@check
def window_counts_keys(attention, size):
    """With equal scores and values that name their key, the output is the mean position of exactly `window` keys."""
    (L, S), ends = (size.short, size.odd), torch.arange(size.odd - size.short, size.odd, device=size.device)
    v = torch.arange(S, device=size.device).float()[None, :, None, None].expand(1, S, 1, 16)
    q, k = v.new_zeros(1, L, 1, 16), v.new_ones(1, S, 1, 16)
    for window, causal in product((1, 2, 63, 64, 65, S - 1, S, 2**40), (True, False)):
        first = (ends - window + 1).clamp_min(0)
        want = (first + (ends if causal else S - 1)).float() / 2
        error = largest(attention(q, k, v, causal=causal, window=window) - want[None, :, None, None])
        assert error <= 2e-5 * S, f"window={window} causal={causal}: off by {error:.2g} keys"


@check
def neighbours_share(attention, size):
    """With values that name their head, query head h reads key/value head h // (H / G), for G of 1, 3, 4, 5 and 8."""
    for H, G in GROUPS:
        q, k, _ = make(size, 5, 9, H, G)
        v = torch.arange(G, device=size.device).float()[:, None].expand(1, 9, G, 32)
        want = torch.arange(H, device=size.device) // (H // G)
        assert largest(attention(q, k, v) - want[:, None]) <= 2e-5 * G, f"H={H} G={G}"


@check
def grouped_heads(attention, size):
    """Every grouping of heads agrees with the oracle where all heads differ."""
    for (H, G), dtype in zip(GROUPS, cycle(DTYPES), strict=False):
        faithful(attention, *make(size, size.short // 2, size.short, H, G, dtype=dtype), causal=True)


@check
def sinks_count_once(attention, size):
    """With values of one, the output is what the sinks left over, however many tiles there were."""
    for dtype, (L, S) in product((torch.float32, torch.bfloat16), size.pairs):
        q, k, v = make(size, L, S, H=2, dtype=dtype)
        sinks = torch.tensor([4.0, -1.0], device=size.device)
        want = torch.sigmoid(oracle(q, k, v)[1] - sinks[:, None]).transpose(1, 2)[..., None]
        allowed = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
        assert largest(attention(q, k, torch.ones_like(v), sinks=sinks) - want) <= allowed, f"{dtype} {L}x{S}"


@check
def natural_lse(attention, size):
    """lse (B, H, L) is the float32 natural logarithm of each row's sum, in every dtype."""
    for dtype in DTYPES:
        q, k, v = make(size, size.short, size.odd, dtype=dtype)
        lse = attention(q, k, v, return_lse=True)[1]
        assert lse.dtype == torch.float32
        want = attention_scores(q.double(), k.double()).logsumexp(-1)
        assert largest(lse - want) <= 2e-5 * largest(want), f"{dtype}"


@check
def widths(attention, size):
    """Every head width, 80 and 96 and one below the narrowest dot among them, in every dtype."""
    for D, dtype in product(WIDTHS, DTYPES):
        faithful(attention, *make(size, size.short, size.odd, D=D, dtype=dtype), causal=D % 32 == 0)


@check
def strided_views(attention, size):
    """Views of packed and padded memory, K and V with different strides, NaN in everything that is not theirs."""
    q, k, v = make(size, size.short, size.odd, H=4, G=2, D=80)
    want = oracle(q, k, v)[0]
    for lay_out in (packed, heads_first, every_other):
        got = attention(lay_out(q), lay_out(k), padded(v))
        assert not got.isnan().any(), f"{lay_out.__name__}: NaN from beside the tensors"
        assert largest(got - want) <= 2e-5 * largest(want), lay_out.__name__


@check
def fresh_memory(attention, size):
    """Outputs are written everywhere: fresh memory that holds NaN shows in none of them."""
    real = torch.empty

    def poisoned(*shape, **kinds):
        made = real(*shape, **kinds)
        return made.fill_(math.nan) if made.is_floating_point() else made

    for (L, S), plan in product([*size.pairs, (size.short, 0)], ({}, {"causal": True}, {"causal": True, "window": 3})):
        q, k, v = make(size, L, S)
        want, want_lse = oracle(q, k, v, **plan)
        with patch.object(torch, "empty", poisoned):
            out, lse = attention(q, k, v, return_lse=True, **plan)
        assert not out.isnan().any() and largest(out - want) <= 1e-4, f"out {L}x{S} {plan}"
        assert not lse.isnan().any() and torch.equal(lse.isinf(), want_lse.isinf()), f"lse {L}x{S} {plan}"


@check
def none_and_one(attention, size):
    """No batch, no query, no key, one of each: shapes are kept, and nothing to see is 0 and -inf."""
    for (B, L, S), causal in product(((0, 5, 5), (2, 0, 5), (2, 5, 0), (0, 0, 0), (2, 1, 1), (1, 1, 5)), (False, True)):
        q, k, v = make(size, L, S, H=4, G=2, B=B)
        out, lse = attention(q, k, v, causal=causal, return_lse=True)
        want, want_lse = oracle(q, k, v, causal=causal)
        assert (out.shape, lse.shape) == (want.shape, want_lse.shape), f"B={B} L={L} S={S}"
        torch.testing.assert_close((out.double(), lse.double()), (want, want_lse), atol=2e-5, rtol=2e-5)


@check
def same_twice(attention, size):
    """The same call gives the same bits."""
    for dtype, plan in product(DTYPES, ({}, {"causal": True, "window": size.short})):
        q, k, v = make(size, size.short, size.odd, dtype=dtype)
        once, again = (attention(q, k, v, return_lse=True, **plan) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)), f"{dtype} {plan}"


@check
def alone_or_in_a_batch(attention, size):
    """What else is in the batch, and how many heads there are, does not change a bit of a row."""
    for dtype in DTYPES:
        q, k, v = make(size, size.short, size.short + 5, H=4, G=2, B=2, dtype=dtype)
        together = attention(q, k, v, causal=True)
        for b in range(2):
            alone = attention(q[b : b + 1], k[b : b + 1], v[b : b + 1], causal=True)
            assert torch.equal(alone, together[b : b + 1]), f"{dtype}: batch {b} differs when it is alone"
        pair = attention(q[:, :, 2:], k[:, :, 1:], v[:, :, 1:], causal=True)
        assert torch.equal(pair, together[:, :, 2:]), f"{dtype}: heads 2 and 3 differ when they are alone"


@check
def inputs_left_alone(attention, size):
    """Nothing is written to q, k, v or the sinks."""
    q, k, v = make(size, 9, 9, H=2)
    inputs = (q, k, v, torch.ones(2, device=size.device))
    before = [x.clone() for x in inputs]
    attention(q, k, v, causal=True, window=5, softcap=2.0, sinks=inputs[3], scale=-0.5)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "an input was written to"


@check
def lse_on_request(attention, size):
    """Without `return_lse` the answer is the output alone, and the same."""
    q, k, v = make(size, 5, 9)
    out = attention(q, k, v)
    assert isinstance(out, torch.Tensor), f"{type(out).__name__} came back"
    assert torch.equal(out, attention(q, k, v, return_lse=True)[0])
