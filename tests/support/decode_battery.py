"""What decoding over a cache must get right, as named checks that take the function under test and the size of the cases.

One query a text leaves little room for the faults of a long prompt and makes room for others: a run of keys that is empty,
partial results merged without their weights, a group of heads in the wrong order, a length that belongs to a neighbour.
Everything behind a text's length is NaN, in every check. Expected values are those of the naive form in float64.
"""

import math
from itertools import cycle, product
from unittest.mock import patch

import torch
from attention_cases import every_other, heads_first, packed, padded, tensors
from flash_battery import DTYPES, HALF, largest, rms, rounding_naive

from minillm.attention.naive_decode import naive_decode

CHECKS = {}
# (H, G): one head, groups that fill no tile, groups of one, one as tall as a tile, taller, and taller than the tallest.
GROUPS = ((1, 1), (3, 1), (6, 3), (4, 4), (10, 5), (32, 2), (20, 1), (66, 1))
WIDTHS = (5, 16, 64, 80, 128, 256)


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def plans(S):
    """Combinations of options, with windows that begin inside a tile."""
    return [
        {},
        {"window": S // 2 + 3},
        {"softcap": 6.0},
        {"sinks": True},
        {"sinks": True, "window": S // 3},
        {"scale": -0.3},
        {"window": 40, "softcap": 4.0, "sinks": True, "scale": -0.4},
    ]


def make(device, lengths, S, H=1, G=1, D=32, dtype=torch.float32, seed=0):
    """q (B, H, D), k, v (B, S, G, D) with NaN behind each length, seq_lens (B,)."""
    B = len(lengths)
    q, k, v = (x.to(device) for x in tensors(1, S, H, G, D, B, dtype, seed))
    for b, length in enumerate(lengths):
        k[b, length:], v[b, length:] = math.nan, math.nan
    return q[:, 0], k, v, torch.tensor(lengths, dtype=torch.int32, device=device)


def with_sinks(plan, H, device):
    return {**plan, "sinks": torch.linspace(2.0, -1.5, H, device=device)} if plan.get("sinks") else plan


def oracle(q, k, v, seq_lens, **options):
    return naive_decode(q.double(), k.double(), v.double(), seq_lens, return_lse=True, **options)


def rounding(q, k, v, seq_lens, **options):
    """The naive form as a chain of half-precision operations, text by text."""
    texts = [
        rounding_naive(q[b : b + 1, None], k[b : b + 1, :n], v[b : b + 1, :n], **options)[:, 0]
        for b, n in enumerate(seq_lens.tolist())
    ]
    return torch.cat(texts)


def faithful(decode, q, k, v, seq_lens, tolerance=2e-5, num_splits=1, block_s=64, where="", **options):
    """Run it and hold out and lse against float64; returns out.

    float32: within `tolerance` of the largest output. Halves: twice the error of the rounding naive form (Dao's rule),
    and for 64 rows of 128 keys and more at most 0.8 of its mean square error.
    """
    where = f"{where} {q.dtype} q {tuple(q.shape)} k {tuple(k.shape)} {seq_lens.tolist()} splits {num_splits} {options}"
    out, lse = decode(q, k, v, seq_lens, return_lse=True, num_splits=num_splits, block_s=block_s, **options)
    want, want_lse = oracle(q, k, v, seq_lens, **options)
    assert out.dtype == q.dtype and out.shape == want.shape, f"{where}: out {out.dtype} {tuple(out.shape)}"
    assert lse.dtype == torch.float32 and lse.shape == want_lse.shape, f"{where}: lse {lse.dtype} {tuple(lse.shape)}"
    assert not out.isnan().any() and not lse.isnan().any(), f"{where}: NaN"
    torch.testing.assert_close(lse.double(), want_lse, atol=2e-5, rtol=2e-5, msg=lambda text: f"{where}: lse: {text}")
    error = largest(out.double() - want)
    if q.dtype not in HALF:
        assert error <= tolerance * largest(want), f"{where}: error {error:.1e} for outputs up to {largest(want):.1e}"
        return out
    rounded = rounding(q, k, v, seq_lens, **options).double() - want
    allowed = 2 * largest(rounded) + 2 * largest(((want.to(q.dtype) + 0.3) - 0.3).double() - want)
    assert error <= allowed, f"{where}: error {error:.1e}, allowed {allowed:.1e}"
    if min(seq_lens.tolist(), default=0) >= 128 and q.shape[0] * q.shape[1] >= 64:
        relative = rms(out.double() - want) / rms(rounded)
        assert relative <= 0.8, f"{where}: {relative:.2f} of the rounding naive form's error, allowed 0.8"
    return out


@check
def values(decode, device):
    """Every plan of options, split and not, the dtypes going round, on texts long, short and empty."""
    dtypes = cycle(DTYPES)
    for plan, splits in product(plans(150), (1, 3)):
        args = make(device, [150, 70, 0], 150, H=4, G=2, dtype=next(dtypes), seed=splits)
        faithful(decode, *args, num_splits=splits, **with_sinks(plan, 4, device))


@check
def edges_of_tiles(decode, device):
    """Lengths just below, at and just above a tile's end, alone in a run and not."""
    lengths = [1, 15, 16, 17, 31, 32, 33, 48]
    for splits, window in product((1, 2, 3), (None, 16, 17)):
        faithful(decode, *make(device, lengths, 50, D=16), num_splits=splits, block_s=16, window=window)


@check
def split_counts(decode, device):
    """Any number of runs, more than there are tiles among them, gives the same answer to rounding."""
    args = make(device, [540, 97], 560, D=256)
    for splits in (1, 2, 5, 16, 33):
        faithful(decode, *args, num_splits=splits, block_s=16, where="split_counts")
    args = make(device, [150, 70], 150, H=2)
    for splits, plan in product((1, 2, 3, 7), ({"window": 90}, {"sinks": True, "window": 20})):
        faithful(decode, *args, num_splits=splits, block_s=32, **with_sinks(plan, 2, device))


@check
def rising_keys(decode, device):
    """Keys grow along the text, so that every run brings a larger maximum and the last has nearly all the weight."""
    for dtype, splits in product(DTYPES, (1, 4)):
        q, k, v, seq_lens = make(device, [200, 131], 200, H=2, dtype=dtype)
        k = k * torch.linspace(0.1, 4.0, 200, device=device, dtype=dtype)[:, None, None]
        faithful(decode, q, k, v, seq_lens, num_splits=splits)


@check
def half_precision(decode, device):
    """64 rows over several tiles cost half-precision inputs a rounding of the probabilities and one of the output."""
    for dtype, splits in product(HALF, (1, 2)):
        faithful(decode, *make(device, [300], 300, H=64, dtype=dtype), num_splits=splits)


@check
def ones_stay_one(decode, device):
    """Values of one come out as one: to 1e-5 in float32, to the last bit but one in the halves."""
    for dtype, splits in product(DTYPES, (1, 3)):
        q, k, v, seq_lens = make(device, [150, 70], 150, H=2, dtype=dtype)
        v = torch.where(v.isnan(), v, 1)
        out = decode(2 * q, k, v, seq_lens, num_splits=splits, block_s=64)
        error, allowed = largest(out.float() - 1), 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
        assert error <= allowed, f"{dtype} splits {splits}: V = 1 gives 1 ± {error:.1e}"


@check
def large_logits(decode, device):
    """Logits of 100 in one half of the keys and -100 in the other; heads where it is the other way, or all are small."""
    for dtype, splits in product(DTYPES, (1, 2)):
        q, k, v, seq_lens = make(device, [150, 131], 150, H=3, D=64, dtype=dtype)
        q, k = q / 8, k / 8
        q[..., 0] = 80.0
        k[..., 0] = torch.where(k[..., 0].isnan(), k[..., 0], 10.0)
        q[:, 1, 0] *= -1
        q[:, 2, 0] = 0
        k[:, 75:, :, 0] *= -1
        faithful(decode, q, k, v, seq_lens, tolerance=1e-4, num_splits=splits)


@check
def padding_has_no_weight(decode, device):
    """Every real score is far below the zeros of a tile's padding, and of a run that is empty."""
    for splits in (1, 4):
        q, k, v, seq_lens = make(device, [70, 3], 80)
        faithful(decode, q.abs() + 1, -k.abs() - 1, v.abs(), seq_lens, num_splits=splits)


@check
def empty_texts(decode, device):
    """A text without keys gives exactly 0 and lse -inf, or the sink; so does every text of a slab without room."""
    for splits, plan, S in product((1, 3), ({}, {"sinks": True}, {"window": 5}), (9, 0)):
        args = make(device, [0, min(S, 5), 0], S, H=2)
        out = faithful(decode, *args, num_splits=splits, **with_sinks(plan, 2, device))
        assert out[::2].eq(0).all(), f"splits {splits} {plan}: a text without keys is not 0"


@check
def sinks_count_once(decode, device):
    """With values of one, the output is what the sinks left over, however many runs there are."""
    for dtype, splits in product((torch.float32, torch.bfloat16), (1, 2, 5)):
        q, k, v, seq_lens = make(device, [150, 70], 150, H=2, dtype=dtype)
        sinks = torch.tensor([4.0, -1.0], device=device)
        want = torch.sigmoid(oracle(q, k, v, seq_lens)[1] - sinks)[..., None]
        ones = torch.where(v.isnan(), v, 1)
        allowed = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
        got = decode(q, k, ones, seq_lens, sinks=sinks, num_splits=splits, block_s=64)
        assert largest(got - want) <= allowed, f"{dtype} splits {splits}"


@check
def window_counts_keys(decode, device):
    """With equal scores and values that name their key, the output is the mean position of exactly `window` keys."""
    S, lengths = 100, [100, 64, 63, 30]
    _, k, _, seq_lens = make(device, lengths, S, D=16)
    k = torch.where(k.isnan(), k, 1)
    v = torch.where(k.isnan(), k, torch.arange(S, device=device).float()[None, :, None, None])
    last = torch.tensor(lengths, device=device) - 1
    for window, splits in product((1, 2, 32, 36, 37, 68, 99, 2**40), (1, 3)):
        got = decode(k.new_zeros(4, 1, 16), k, v, seq_lens, window=window, num_splits=splits, block_s=32)
        want = ((last - window + 1).clamp_min(0) + last).float() / 2
        error = largest(got - want[:, None, None])
        assert error <= 2e-5 * S, f"window {window} splits {splits}: off by {error:.2g} keys"


@check
def neighbours_share(decode, device):
    """With values that name their head, query head h reads KV head h // (H / G), in groups of every height."""
    for H, G in GROUPS:
        q, k, v, seq_lens = make(device, [20, 7], 20, H=H, G=G, D=16)
        v = torch.where(v.isnan(), v, torch.arange(G, device=device).float()[:, None])
        want = torch.arange(H, device=device) // (H // G)
        for splits in (1, 2):
            got = decode(q, k, v, seq_lens, num_splits=splits, block_s=16)
            assert largest(got - want[:, None]) <= 2e-5 * G, f"H={H} G={G} splits {splits}"


@check
def grouped_heads(decode, device):
    """Every grouping of heads agrees with the oracle where all heads differ."""
    for (H, G), dtype in zip(GROUPS, cycle(DTYPES), strict=False):
        faithful(decode, *make(device, [70, 33], 70, H=H, G=G, dtype=dtype), num_splits=2)


@check
def widths(decode, device):
    """Every head width, 80 and one below the narrowest dot among them, in every dtype."""
    for D, dtype in product(WIDTHS, DTYPES):
        faithful(decode, *make(device, [70], 70, H=2, D=D, dtype=dtype), num_splits=1 + D % 3)


@check
def strided_views(decode, device):
    """Views of packed and padded memory, K and V with different strides, NaN in everything that is not theirs."""
    q, k, v, seq_lens = make(device, [70, 41], 75, H=4, G=2, D=80)
    want = oracle(q, k, v, seq_lens)[0]
    every_second = torch.stack([seq_lens, seq_lens + 1000], 1)[:, 0]
    for lay_out, splits in product((packed, heads_first, every_other), (1, 2)):
        views = lay_out(q[:, None])[:, 0], lay_out(k), padded(v), every_second
        got = decode(*views, num_splits=splits, block_s=64)
        assert not got.isnan().any(), f"{lay_out.__name__}: NaN from beside the tensors"
        assert largest(got - want) <= 2e-5 * largest(want), f"{lay_out.__name__} splits {splits}"


@check
def fresh_memory(decode, device):
    """Outputs are written everywhere: fresh memory that holds NaN shows in none of them."""
    real = torch.empty

    def poisoned(*shape, **kinds):
        made = real(*shape, **kinds)
        return made.fill_(math.nan) if made.is_floating_point() else made

    for splits, (H, G) in product((1, 3), ((2, 1), (66, 1))):
        args = make(device, [70, 0, 20], 75, H=H, G=G)
        want, want_lse = oracle(*args)
        with patch.object(torch, "empty", poisoned):
            out, lse = decode(*args, return_lse=True, num_splits=splits, block_s=32)
        assert not out.isnan().any() and largest(out - want) <= 1e-4, f"out {H} heads, splits {splits}"
        assert not lse.isnan().any() and torch.equal(lse.isinf(), want_lse.isinf()), f"lse {H} heads, splits {splits}"


@check
def alone_or_in_a_batch(decode, device):
    """With the same runs, what else is in the batch and how long the slab is does not change a bit of a text."""
    for dtype, splits in product(DTYPES, (1, 3)):
        q, k, v, seq_lens = make(device, [70, 131], 140, H=4, G=2, dtype=dtype)
        together = decode(q, k, v, seq_lens, num_splits=splits, block_s=32)
        for b, length in enumerate(seq_lens.tolist()):
            only = slice(b, b + 1)
            alone = decode(q[only], k[only, :length], v[only, :length], seq_lens[only], num_splits=splits, block_s=32)
            assert torch.equal(alone, together[only]), f"{dtype} splits {splits}: text {b} differs when it is alone"
        pair = decode(q[:, 2:], k[:, :, 1:], v[:, :, 1:], seq_lens, num_splits=splits, block_s=32)
        assert torch.equal(pair, together[:, 2:]), f"{dtype} splits {splits}: heads 2 and 3 differ when they are alone"


@check
def same_twice(decode, device):
    """The same call gives the same bits."""
    for dtype, splits in product(DTYPES, (1, 3)):
        args = make(device, [70, 131], 140, H=4, G=2, dtype=dtype)
        once, again = (decode(*args, return_lse=True, num_splits=splits, block_s=32) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)), f"{dtype} splits {splits}"


@check
def inputs_left_alone(decode, device):
    """Nothing is written to q, k, v, the lengths or the sinks, and without `return_lse` the answer is the output alone."""
    q, k, v, seq_lens = make(device, [9, 4], 9, H=2)
    inputs = (q, k, v, seq_lens, torch.ones(2, device=device))
    before = [x.clone() for x in inputs]
    options = dict(window=5, softcap=2.0, sinks=inputs[4], scale=-0.5, num_splits=2, block_s=16)
    out = decode(q, k, v, seq_lens, **options)
    assert all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in zip(inputs, before, strict=True)), "written to"
    assert isinstance(out, torch.Tensor), f"{type(out).__name__} came back"
    assert torch.equal(out, decode(q, k, v, seq_lens, return_lse=True, **options)[0])


@check
def no_texts(decode, device):
    """A batch of none keeps its shapes."""
    out, lse = decode(*make(device, [], 5, H=2), return_lse=True, num_splits=2, block_s=16)
    assert (out.shape, lse.shape) == ((0, 2, 32), (0, 2))
