"""What paged attention must get right, as named checks that take the function under test and the device of the cases.

Pages add faults of their own to those of flash attention: a key looked for in the wrong block, a block's unused end that
shows, a query taken for a neighbour's, a row of the tile that belongs to another head. So in every check the blocks are
dealt out in random order, what is nobody's is NaN, and what the table holds behind a text's last block leads nowhere.
Expected values are those of the naive form in float64.

The function is called as attention(*case.call, num_splits=, block_l=, block_s=, **options).
"""

import math
from itertools import cycle, product
from unittest.mock import patch

import torch
from flash_battery import DTYPES, HALF, largest, rms, rounding_naive
from paged_cases import make_case, quantize

from minillm.attention.naive_paged import naive_paged_attention

CHECKS = {}
DECODE = ((1, 150), (1, 18), (1, 1), (1, 64), (1, 65))
MIXED = ((1, 132), (5, 18), (29, 75), (0, 7), (0, 0), (1, 1), (12, 12))
BLOCKS = (8, 16, 32, 64, 128, 256, 5, 48)
GROUPS = ((1, 1), (3, 1), (8, 2), (5, 1), (8, 1), (17, 1))  # (H, G)
WIDTHS = (5, 16, 64, 80, 128, 256)


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def plans():
    """Combinations of options, with windows that begin inside a tile."""
    return [
        {},
        {"window": 43},
        {"softcap": 6.0},
        {"sinks": True},
        {"sinks": True, "window": 20},
        {"scale": -0.3},
        {"window": 40, "softcap": 4.0, "sinks": True, "scale": -0.4},
    ]


def with_sinks(plan, case):
    H, device = case.q.shape[1], case.q.device
    return {**plan, "sinks": torch.linspace(2.0, -1.5, H, device=device)} if plan.get("sinks") else plan


def oracle(case, **options):
    wide = {name: getattr(case, name).double() for name in ("q", "k_cache", "v_cache")}
    if "k_scale" in options:
        wide = {"q": wide["q"]}
    return naive_paged_attention(*case.but(**wide).call, return_lse=True, **options)


def rounding(case, **options):
    """The naive form as a chain of half-precision operations, text by text."""
    out = torch.empty_like(case.q)
    for rows, k, v in zip(case.rows, case.k, case.v, strict=True):
        if rows.stop > rows.start:
            out[rows] = rounding_naive(case.q[None, rows], k[None], v[None], causal=True, **options)[0]
    return out


def faithful(attention, case, tolerance=2e-5, where="", num_splits=1, block_l=16, block_s=32, **options):
    """Run it and hold out and lse against float64; returns out.

    float32: within `tolerance` of the largest output. Halves: twice the error of the rounding naive form (Dao's rule),
    and for 64 rows or more of texts of 128 keys and more at most 0.8 of its mean square error.
    """
    where = f"{where} {case.q.dtype} {case.texts} P={case.k_cache.shape[1]} splits={num_splits} {options}"
    sizes = {"num_splits": num_splits, "block_l": block_l, "block_s": block_s}
    out, lse = attention(*case.call, return_lse=True, **sizes, **options)
    want, want_lse = oracle(case, **options)
    assert out.dtype == case.q.dtype and out.shape == want.shape, f"{where}: out {out.dtype} {tuple(out.shape)}"
    assert lse.dtype == torch.float32 and lse.shape == want_lse.shape, f"{where}: lse {lse.dtype} {tuple(lse.shape)}"
    assert not out.isnan().any() and not lse.isnan().any(), f"{where}: NaN"
    torch.testing.assert_close(lse.double(), want_lse, atol=2e-5, rtol=2e-5, msg=lambda text: f"{where}: lse: {text}")
    error = largest(out.double() - want)
    if case.q.dtype not in HALF:
        assert error <= tolerance * largest(want), f"{where}: error {error:.1e} for outputs up to {largest(want):.1e}"
        return out
    rounded = rounding(case, **{name: x for name, x in options.items() if name not in ("k_scale", "v_scale")})
    rounded = rounded.double() - want
    allowed = 2 * largest(rounded) + 2 * largest(((want.to(out.dtype) + 0.3) - 0.3).double() - want)
    assert error <= allowed, f"{where}: error {error:.1e}, allowed {allowed:.1e}"
    if min((S for _, S in case.texts), default=0) >= 128 and out.shape[0] * out.shape[1] >= 64:
        relative = rms(out.double() - want) / rms(rounded)
        assert relative <= 0.8, f"{where}: {relative:.2f} of the rounding naive form's error, allowed 0.8"
    return out


@check
def values(attention, device):
    """Every plan of options for decoding and for a mixture, split and not, block sizes and dtypes going round."""
    dtypes, sizes = cycle(DTYPES), cycle(BLOCKS)
    for plan, (texts, H, G) in product(plans(), ((DECODE, 4, 2), (MIXED, 3, 1))):
        case = make_case(texts, next(sizes), H, G, dtype=next(dtypes), device=device)
        faithful(attention, case, num_splits=1 if len(plan) == 1 else 3, **with_sinks(plan, case))


@check
def block_sizes(attention, device):
    """Where a text's tokens lie does not change a bit of the answer, whether tiles fit into blocks or not."""
    for texts, dtype in ((DECODE, torch.float32), (MIXED, torch.bfloat16)):
        want = faithful(attention, make_case(texts, P=BLOCKS[0], dtype=dtype, device=device), window=50)
        for P in BLOCKS[1:]:
            got = faithful(attention, make_case(texts, P=P, dtype=dtype, seed=0, device=device), window=50)
            assert torch.equal(got, want), f"blocks of {P} and of {BLOCKS[0]} differ"


@check
def edges_of_tiles(attention, device):
    """Lengths and runs of queries just below, at and just above the end of a block and of a tile."""
    for P, window in product((8, 16, 32), (None, 16, 17)):
        ends = [(1 + S % 5, S) for S in (5, 15, 16, 17, 31, 32, 33, 48)]
        faithful(attention, make_case(ends, P=P, D=16, device=device), block_s=16, window=window)
        faithful(attention, make_case([(1, S) for _, S in ends], P=P, D=16, device=device), block_s=16, window=window)


@check
def runs_of_queries(attention, device):
    """Texts of every number of queries from none to three tiles find their own, however many neighbours they have."""
    for lengths in ([0, 0, 1, 7, 8, 9, 0, 16, 17, 24, 0], [3] * 9, [0] * 5 + [1], [25]):
        case = make_case([(L, L + 3) for L in lengths], P=8, H=2, D=16, device=device)
        faithful(attention, case, block_s=16)


@check
def split_counts(attention, device):
    """Any number of runs, more than there are tiles among them, gives the same answer to rounding."""
    for texts, splits in product((((1, 150), (1, 3)), ((1, 100), (12, 90))), (2, 3, 7, 33)):
        case = make_case(texts, D=64, device=device)
        plan = {} if splits % 2 == 0 or splits > 7 else {"sinks": True, "window": 37}
        faithful(attention, case, num_splits=splits, **with_sinks(plan, case))


@check
def tile_sizes(attention, device):
    """Any tile gives the same answer to rounding."""
    case = make_case(MIXED, H=6, G=2, device=device)
    for block_l, block_s in ((16, 16), (32, 128), (64, 64)):
        faithful(attention, case, block_l=block_l, block_s=block_s, window=60)


@check
def rising_keys(attention, device):
    """Keys grow along the text, so that every tile brings a larger maximum."""
    for dtype, splits in product(DTYPES, (1, 3)):
        case = make_case(((1, 150), (9, 140)), dtype=dtype, device=device)
        cache, grown = case.k_cache.clone(), []
        for b, k in enumerate(case.k):
            slots = torch.arange(len(k), device=device)
            grown.append(k * torch.linspace(0.1, 4.0, len(k), device=device, dtype=dtype)[:, None, None])
            cache[case.block_table[b][slots // 16].long(), slots % 16] = grown[-1]
        faithful(attention, case.but(k_cache=cache, k=grown), num_splits=splits)


@check
def half_precision(attention, device):
    """Many rows over several tiles cost half-precision inputs a rounding of the probabilities and one of the output."""
    for dtype, texts, H in ((*case, H) for case in product(HALF, (((1, 300),), ((40, 200),))) for H in (64,)):
        heads = H if len(texts) == texts[0][0] else 2
        faithful(attention, make_case(texts, H=heads, dtype=dtype, device=device), block_l=64, block_s=64)


@check
def ones_stay_one(attention, device):
    """Values of one come out as one: to 1e-5 in float32, to the last bit but one in the halves."""
    for dtype, splits in product(DTYPES, (1, 3)):
        case = make_case(MIXED, dtype=dtype, device=device).mapped(torch.ones_like, "v")
        out = attention(*case.call, num_splits=splits, block_l=16, block_s=32)
        error, allowed = largest(out.float() - 1), 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
        assert error <= allowed, f"{dtype} splits {splits}: V = 1 gives 1 ± {error:.1e}"


@check
def large_logits(attention, device):
    """Logits of 100 for some heads, -100 for others, and small ones, in one tile."""
    for dtype in DTYPES:
        case = make_case(((1, 70), (9, 60)), H=3, D=64, dtype=dtype, device=device)
        case = case.mapped(lambda x: torch.cat([x.new_full((*x.shape[:-1], 1), 10.0), x[..., 1:] / 8], -1), "k")
        q = case.q / 8
        q[:, :, 0] = torch.tensor([80.0, -80.0, 0.0], device=device)
        faithful(attention, case.but(q=q), tolerance=1e-4)


@check
def padding_has_no_weight(attention, device):
    """Every real score is far below the zeros of a tile's padding, and of a run that is empty."""
    for texts, splits in product((DECODE, MIXED), (1, 4)):
        case = make_case(texts, device=device).mapped(lambda x: -x.abs() - 1, "k").mapped(torch.abs, "v")
        faithful(attention, case.but(q=case.q.abs() + 1), num_splits=splits)


@check
def bottom_right(attention, device):
    """The last query stands at the last key: with values that name their key, each output is the mean of those up to it."""
    case = make_case(((7, 20), (20, 20), (1, 40)), P=8, D=16, device=device)
    got = attention(*positions_as_values(case).call, num_splits=1, block_l=16, block_s=16)
    want = torch.cat([torch.arange(S - L, S, device=device) for L, S in case.texts]).float() / 2
    assert largest(got - want[:, None, None]) <= 2e-5 * 40, "a query sees other keys than those up to its own"


@check
def window_counts_keys(attention, device):
    """With equal scores and values that name their key, the output is the mean position of exactly `window` keys."""
    for texts in (((1, 100), (1, 64), (1, 30)), ((33, 100), (20, 20), (1, 64))):
        case = positions_as_values(make_case(texts, D=16, device=device))
        own = torch.cat([torch.arange(S - L, S, device=device) for L, S in case.texts])
        for window, splits in ((1, 1), (2, 3), (32, 1), (36, 3), (37, 1), (99, 1), (2**40, 3)):
            got = attention(*case.call, window=window, num_splits=splits, block_l=16, block_s=32)
            want = ((own - window + 1).clamp_min(0) + own).float() / 2
            error = largest(got - want[:, None, None])
            assert error <= 2e-5 * 100, f"{texts} window {window} splits {splits}: off by {error:.2g} keys"


def positions_as_values(case):
    """The case with scores of 0, and each value its key's position in the text."""
    cache = case.v_cache.clone()
    for b, v in enumerate(case.v):
        slots, P = torch.arange(len(v), device=v.device), cache.shape[1]
        cache[case.block_table[b][slots // P].long(), slots % P] = slots.to(v.dtype)[:, None, None]
    return case.but(q=torch.zeros_like(case.q), v_cache=cache)


@check
def neighbours_share(attention, device):
    """With values that name their head, query head h reads KV head h // (H / G), for groups of every height."""
    for (H, G), texts in product((*GROUPS, (10, 5)), (((1, 20), (1, 7)), ((5, 20), (1, 7)))):
        case = make_case(texts, H=H, G=G, D=16, device=device)
        case = case.mapped(lambda x, G=G: torch.arange(G, device=device).to(x.dtype)[:, None].expand(x.shape), "v")
        want = torch.arange(H, device=device) // (H // G)
        got = attention(*case.call, num_splits=1, block_l=16, block_s=16)
        assert largest(got - want[:, None]) <= 2e-5 * G, f"H={H} G={G} {texts}"


@check
def grouped_heads(attention, device):
    """Every grouping of heads agrees with the oracle where all heads differ."""
    for (H, G), dtype in zip(GROUPS, cycle(DTYPES), strict=False):
        faithful(attention, make_case(((1, 33), (7, 40)), H=H, G=G, dtype=dtype, device=device))
        faithful(attention, make_case(((1, 33), (1, 20)), H=H, G=G, dtype=dtype, device=device), num_splits=2)


@check
def sinks_count_once(attention, device):
    """With values of one, the output is what the sinks left over, however many runs there are."""
    for texts, splits in product((DECODE, MIXED), (1, 2, 5)):
        case = make_case(texts, device=device).mapped(torch.ones_like, "v")
        sinks = torch.tensor([4.0, -1.0], device=device)
        want = torch.sigmoid(oracle(case)[1] - sinks[:, None]).T[..., None]
        got = attention(*case.call, sinks=sinks, num_splits=splits, block_l=16, block_s=32)
        assert largest(got - want) <= 1e-5, f"{texts} splits {splits}"


@check
def widths(attention, device):
    """Every head width, 80 and one below the narrowest dot among them, in every dtype."""
    for D, dtype in product(WIDTHS, DTYPES):
        faithful(attention, make_case(((1, 30), (3, 20)), D=D, dtype=dtype, device=device), num_splits=1 + D % 3)


@check
def strided_caches(attention, device):
    """A layer of a cache of many, K and V laid out differently, queries out of a packed tensor, a table with room to spare."""
    case = make_case(((1, 70), (5, 41)), H=4, G=2, D=80, device=device)
    want = oracle(case)[0]
    layers = case.k_cache.new_full((3, *case.k_cache.shape), math.nan)
    layers[1] = case.k_cache
    heads_first = case.v_cache.transpose(1, 2).contiguous().transpose(1, 2)
    packed = case.q.new_full((len(case.q), 6, 80), math.nan)
    packed[:, 1:5] = case.q
    roomy = torch.cat([case.block_table, torch.full_like(case.block_table, 2**31 - 1)], 1)[
        :, : case.block_table.shape[1]
    ]
    odd = case.but(q=packed[:, 1:5], k_cache=layers[1], v_cache=heads_first, block_table=roomy)
    for splits in (1, 2):
        got = attention(*odd.call, num_splits=splits, block_l=16, block_s=32)
        assert largest(got - want) <= 2e-5 * largest(want), f"splits {splits}"


@check
def fresh_memory(attention, device):
    """Outputs are written everywhere: fresh memory that holds NaN shows in none of them."""
    real = torch.empty

    def poisoned(*shape, **kinds):
        made = real(*shape, **kinds)
        return made.fill_(math.nan) if made.is_floating_point() else made

    for texts, splits in product((DECODE, MIXED), (1, 3)):
        case = make_case(texts, H=3, device=device)
        want, want_lse = oracle(case)
        with patch.object(torch, "empty", poisoned):
            out, lse = attention(*case.call, return_lse=True, num_splits=splits, block_l=16, block_s=32)
        assert not out.isnan().any() and largest(out - want) <= 1e-4, f"out {texts}, splits {splits}"
        assert not lse.isnan().any() and largest(lse - want_lse) <= 1e-4, f"lse {texts}, splits {splits}"


@check
def alone_or_in_company(attention, device):
    """With the same tiles, who else is in the call does not change a bit of a text, nor does where its blocks lie."""
    for dtype, splits in zip(DTYPES, (1, 3, 1), strict=True):
        case = make_case(MIXED, dtype=dtype, device=device)
        sizes = {"num_splits": splits, "block_l": 16, "block_s": 32}
        together = attention(*case.call, **sizes)
        for b, rows in enumerate(case.rows):
            L = rows.stop - rows.start
            ends = torch.tensor([0, L], dtype=torch.int32, device=device)
            only = slice(b, b + 1)
            alone = attention(
                case.q[rows],
                case.k_cache,
                case.v_cache,
                case.block_table[only],
                case.seq_lens[only],
                ends,
                12 + L,
                **sizes,
            )
            assert torch.equal(alone, together[rows]), f"{dtype} splits {splits}: text {b} differs when it is alone"


@check
def same_twice(attention, device):
    """The same call gives the same bits."""
    for dtype, splits in zip(DTYPES, (1, 1, 3), strict=True):
        case = make_case(((1, 70), (20, 50)), dtype=dtype, device=device)
        sizes = {"num_splits": splits, "block_l": 16, "block_s": 32}
        once, again = (attention(*case.call, return_lse=True, **sizes) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)), f"{dtype} splits {splits}"


@check
def quantized_cache(attention, device):
    """Numbers of one byte times a factor a token and head, different for keys and values, and NaN where nothing was kept."""
    for kind, texts in product((torch.int8, torch.float8_e4m3fn), (DECODE[:3], MIXED[:4])):
        for dtype, P in zip(DTYPES, (8, 32, 64), strict=True):
            heads = (4, 2) if P == 8 else (3, 1)
            case, scales = quantize(make_case(texts, P, *heads, dtype=dtype, device=device), kind)
            faithful(attention, case, num_splits=1 + P // 32, window=60, **scales)


@check
def small_values_keep_their_digits(attention, device):
    """A quantised cache of small values: their factors, a 127th of them, are below what float16 holds precisely."""
    case = make_case(((1, 70), (5, 60)), dtype=torch.float16, device=device).mapped(lambda x: x * 2e-3, "v")
    case, scales = quantize(case, torch.int8)
    want = oracle(case, **scales)[0]
    got = attention(*case.call, num_splits=1, block_l=16, block_s=32, **scales)
    error = largest(got - want)
    assert error <= 2e-3 * largest(want), f"error {error:.1e} for outputs up to {largest(want):.1e}"


@check
def inputs_left_alone(attention, device):
    """Nothing is written to any argument, and without `return_lse` the answer is the output alone."""
    case = make_case(((1, 9), (3, 7)), device=device)
    sinks = torch.ones(2, device=device)
    inputs = (*case.call[:6], sinks)
    before = [x.clone() for x in inputs]
    options = dict(window=5, softcap=2.0, sinks=sinks, scale=-0.5, num_splits=2, block_l=16, block_s=16)
    out = attention(*case.call, **options)
    assert all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in zip(inputs, before, strict=True)), "written to"
    assert isinstance(out, torch.Tensor), f"{type(out).__name__} came back"
    assert torch.equal(out, attention(*case.call, return_lse=True, **options)[0])


@check
def nothing_to_do(attention, device):
    """No texts, and texts without a query, keep their shapes."""
    for texts in ((), ((0, 5),), ((0, 0), (0, 3))):
        out, lse = attention(
            *make_case(texts, device=device).call, return_lse=True, num_splits=2, block_l=16, block_s=16
        )
        assert (out.shape, lse.shape) == ((0, 2, 32), (2, 0)), f"{texts}"
