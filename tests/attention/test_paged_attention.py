"""Paged attention in torch takes the battery of the paged kernels too, and does what it does without copying the cache."""

import math
import random

import pytest
import torch
from attention_cases import assert_close
from paged_battery import CHECKS
from paged_cases import make_case, quantize

import minillm as ml
from minillm.attention import naive_paged_attention, paged_attention
from minillm.attention.pages import TILE_BYTES, Scratch, widen_float8
from minillm.errors import InvalidValue, Unsupported


def ours(*call, num_splits=None, block_l=None, block_s=None, **options):
    """The kernels' signature, without what a kernel is tuned by."""
    return paged_attention(*call, **options)


# Not here: to the last bit, company and block size may matter, for torch's own call sums in another order. To 1e-12 they
# do not: tests/cache/test_paged_battery.py.
EXACT = {"alone_or_in_company", "block_sizes"}


@pytest.mark.parametrize("name", sorted(set(CHECKS) - EXACT))
def test_the_kernels_battery(name):
    CHECKS[name](ours, "cpu")


def test_it_is_on_the_face():
    case = make_case(((1, 40), (3, 9)), dtype=torch.float64)
    assert_close(ml.attention.paged_attention(*case.call), naive_paged_attention(*case.call), 1e-12)


def test_what_leads_nowhere_is_refused_before_any_work():
    case = make_case(((1, 40),))
    table = case.block_table.clone()
    table[0, 1] = 2**20
    with pytest.raises(InvalidValue, match="point into the pool"):
        paged_attention(*case.but(block_table=table).call)


@pytest.mark.parametrize("name", ["q", "k_cache", "v_cache"])
@pytest.mark.parametrize("options", [{}, {"return_lse": True}], ids=str)
def test_gradients_are_refused_where_somebody_could_ask_for_them(name, options):
    case = make_case(((1, 40), (3, 9)))
    wanting = case.but(**{name: getattr(case, name).clone().requires_grad_()})
    with pytest.raises(Unsupported, match=f"got {name} with requires_grad=True; use naive_paged_attention"):
        paged_attention(*wanting.call, **options)
    with torch.no_grad():
        got, want = (paged_attention(*c.call) for c in (wanting, case))
    assert torch.equal(got, want)


def test_without_memory_there_are_shapes():
    case = make_case(((1, 40), (3, 9)))
    out, lse = paged_attention(
        *(x.to("meta") if isinstance(x, torch.Tensor) else x for x in case.call), return_lse=True
    )
    assert out.is_meta and (out.shape, lse.shape) == (case.q.shape, (case.q.shape[1], 4))


def odd_case(seed):
    """Blocks of any size down to 1, texts of exactly some blocks, of none and of a token more; H / G up to 7."""
    pick = random.Random(seed)
    P, G, D = pick.choice([1, 2, 3, 8, 17]), pick.choice([1, 2, 3]), pick.choice([1, 2, 3, 8, 33])
    texts = []
    for _ in range(pick.randint(1, 6)):
        S = max(0, pick.randint(0, 5) * P + pick.choice([-1, 0, 0, 1]))
        texts.append((pick.choice([0, min(1, S), S, pick.randint(0, S)]), S))
    H = G * pick.choice([1, 2, 7])
    sinks = torch.tensor([pick.choice([0.0, -5.0, 5.0, -math.inf]) for _ in range(H)], dtype=torch.float64)
    maybe = {
        "window": pick.choice([1, 2, P, P + 1, 1000, 2**62]), "softcap": pick.choice([0.5, 30.0, 1e30]), "sinks": sinks,
        "scale": pick.choice([0.0, -1.0, 3, 1e30]), "return_lse": True,
    }  # fmt: skip
    options = {name: value for name, value in maybe.items() if pick.random() < 0.4}
    return make_case(tuple(texts), P=P, H=H, G=G, D=D, dtype=torch.float64), options


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_odd_shapes_and_options_in_float64(first):
    for seed in range(first, first + 40):
        case, options = odd_case(seed)
        got, want = (f(*case.call, **options) for f in (paged_attention, naive_paged_attention))
        for a, b in zip(*((x if isinstance(x, tuple) else (x,)) for x in (got, want)), strict=True):
            assert torch.allclose(a, b, rtol=1e-10, atol=1e-10), (seed, case.texts, options)


def test_every_float8_is_widened_exactly():
    stored = torch.arange(-128, 128, dtype=torch.int16).to(torch.int8)
    values = stored.view(torch.float8_e4m3fn).float()
    number = ~values.isnan()
    assert number.sum() == 254
    assert torch.equal(widen_float8(stored)[number], values[number])


@pytest.mark.parametrize("kind", [None, torch.float8_e4m3fn], ids=str)
def test_decoding_holds_a_few_tiles_however_long_the_text(kind):
    """12 MB of keys are attended to in the memory of 6 tiles: a copy of the cache takes 12."""
    case = make_case(((1, 12288),), P=32, H=8, G=4, D=64)
    scales = {}
    if kind is not None:
        case, scales = quantize(case, kind)
    want = naive_paged_attention(*case.call, **scales)
    with ml.count() as counted:
        got = paged_attention(*case.call, **scales)
    assert_close(got, want, 1e-5)
    assert counted.peak_bytes < 6 * TILE_BYTES, f"{counted.peak_bytes:,} bytes"


def test_scratch_is_the_same_memory_at_every_step():
    case, scratch = make_case(((1, 300),)), Scratch()
    from minillm.attention.pages import Pages

    pages = Pages(case.k_cache, case.v_cache)
    first, second, longer = (scratch.buffer(pages, n, torch.float32) for n in (5, 5, 9))
    assert first is second and first.k.data_ptr() == longer.k.data_ptr() != first.v.data_ptr()
