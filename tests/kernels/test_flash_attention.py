"""The flash attention kernel: the same batteries as its torch twin, at sizes one can interpret and at full size on a GPU."""

import dataclasses
import importlib
from itertools import product

import attention_battery
import flash_battery
import numpy as np
import pytest
import torch
from attention_cases import assert_close
from flash_battery import DTYPES, SMALL, Size, faithful, make, oracle
from torch.autograd import forward_ad

import minillm as ml
from minillm.attention.tiled import tiled_attention
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention, mode
from minillm.kernels.attention_tiles import Tiles
from minillm.measure.tiles import tiled_attention_cost

pytestmark = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")

HERE = dataclasses.replace(SMALL, device="cuda" if mode().name == "gpu" else "cpu")
FULL = Size(short=1000, odd=2047, long=4095, device="cuda")
TILINGS = [Tiles(16, 16), Tiles(32, 128), Tiles(128, 64)]
OPTIONS = frozenset({"causal", "window", "softcap", "sinks", "scale", "return_lse"})
# What the block-wise battery asks less of: widths below 16, a handful of tokens, batches of many heads.
SHARED = ("bottom_right", "default_scale", "window_counts_keys", "cap_then_mask", "sinks_have_no_value")


@pytest.mark.parametrize("name", flash_battery.CHECKS)
def test_the_kernel_passes(name):
    flash_battery.CHECKS[name](flash_attention, HERE)


@pytest.mark.gpu
@pytest.mark.parametrize("name", flash_battery.CHECKS)
def test_the_kernel_passes_at_full_size(name):
    flash_battery.CHECKS[name](flash_attention, FULL)


def in_float32(q, k, v, **options):
    """The kernel for a battery that asks in float64: narrowed on the way in, widened on the way out."""
    inputs = [x.float().to(HERE.device) if x.dtype == torch.float64 else x.to(HERE.device) for x in (q, k, v)]
    if "sinks" in options:
        options["sinks"] = options["sinks"].to(HERE.device)
    result = flash_attention(*inputs, **options)
    wide = [x.to(q.dtype).cpu() if q.dtype == torch.float64 else x.cpu() for x in _tuple(result)]
    return tuple(wide) if isinstance(result, tuple) else wide[0]


def _tuple(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", SHARED)
def test_the_kernel_passes_what_any_form_must(name, monkeypatch):
    """Tiny widths and many shapes; float64's tolerance becomes float32's, for logits of up to a few hundred."""

    def within_float32(got, want, tolerance, where=""):
        assert_close(got, want, max(tolerance, 2e-5), where)

    monkeypatch.setattr(attention_battery, "assert_close", within_float32)
    attention_battery.CHECKS[name][0](in_float32, OPTIONS)


@pytest.mark.parametrize("tiles", TILINGS, ids=str)
def test_tile_sizes_do_not_change_the_answer(tiles):
    for plan in ({}, {"causal": True, "window": 50}):
        q, k, v = make(HERE, 70, 131, H=1)
        out, lse = flash_attention(q, k, v, tiles=tiles, return_lse=True, **plan)
        want, want_lse = oracle(q, k, v, **plan)
        assert_close(out, want, 1e-5, f"out {plan}")
        assert_close(lse, want_lse, 2e-5, f"lse {plan}")


@interpreted
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("plan", [{}, {"causal": True}, {"causal": True, "window": 40}, {"sinks": True}], ids=str)
def test_kernel_twin_and_formula_count_the_same(plan, dtype):
    L, S, H, D = 70, 131, 2, 80
    q, k, v = make(SMALL, L, S, H=H, G=1, D=D, dtype=dtype)
    options = flash_battery.with_sinks(plan, H, SMALL)
    with ml.count() as kernel:
        flash_attention(q, k, v, tiles=Tiles(32, 64), **options)
    with ml.count() as twin:
        tiled_attention(q, k, v, block_l=32, block_s=64, **options)
    want = tiled_attention_cost(1, L, S, H, D, block_l=32, block_s=64, dtype_bytes=q.element_size(), **plan)
    for c in (kernel, twin):
        assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.bytes.loaded, want.bytes.stored, want.flops)
    assert kernel.peak_bytes == twin.peak_bytes == out_and_lse(q)


def out_and_lse(q):
    B, L, H, D = q.shape
    return B * L * H * (D * q.element_size() + 4)


def test_kernel_and_twin_agree_to_rounding():
    """The same tiles in the same order: what is left is the order of sums inside one dot."""
    for dtype, causal in product(DTYPES, (False, True)):
        q, k, v = make(HERE, 70, 131, dtype=dtype)
        got = flash_attention(q, k, v, causal=causal, tiles=Tiles(64, 64))
        want = tiled_attention(q, k, v, causal=causal, block_l=64, block_s=64)
        unit = torch.finfo(dtype).eps
        assert (got.double() - want.double()).abs().max() <= 4 * unit * want.double().abs().max(), f"{dtype} {causal}"


@pytest.mark.parametrize("form", [flash_attention, tiled_attention], ids=["kernel", "twin"])
@pytest.mark.parametrize("scale", [0.0, 1e-42, -1e-42, 1e-50])
def test_a_vanishing_scale_is_a_plain_average(scale, form):
    q, k, v = make(HERE, 5, 70)
    for plan in ({}, {"softcap": 3.0}):
        assert_close(form(q, k, v, scale=scale, **plan), v.mean(1, keepdim=True).expand_as(q), 1e-5)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # NumPy's word for what the GPU does silently
@pytest.mark.parametrize("form", [flash_attention, tiled_attention], ids=["kernel", "twin"])
@pytest.mark.parametrize("softcap", [1e-30, 1e-42, 1e-50])
def test_a_vanishing_cap_is_a_plain_average(softcap, form):
    q, k, v = make(HERE, 5, 70)
    q[:, 0] = 0
    assert_close(form(q, k, v, softcap=softcap), v.mean(1, keepdim=True).expand_as(q), 1e-5)


@pytest.mark.parametrize("softcap", [50.0, 1e4, 1e8, 1e30])
def test_a_cap_far_above_the_scores_leaves_them_alone(softcap):
    """Near 0 tanh(x) is x, and the cap multiplies whatever it is off by."""
    q, k, v = make(HERE, 9, 70)
    faithful(flash_attention, q, k, v, softcap=softcap)


@pytest.mark.filterwarnings("ignore")  # NumPy's, of infinities
@pytest.mark.parametrize("form", [flash_attention, tiled_attention], ids=["kernel", "twin"])
@pytest.mark.parametrize("keys", [slice(0, None), slice(0, 64)], ids=["all", "the first tile"])
def test_keys_of_minus_infinity_are_not_seen(keys, form):
    q, k, v = make(HERE, 7, 131)
    q, k[:, keys] = q.abs(), -torch.inf
    want, want_lse = oracle(q, k, v)
    out, lse = form(q, k, v, return_lse=True)
    assert_close(out, want, 2e-5)
    assert_close(lse, want_lse, 2e-5)


def test_numbers_from_numpy_are_numbers_to_the_kernel():
    q, k, v = make(HERE, 7, 9)
    plain = flash_attention(q, k, v, window=3, softcap=2.5, scale=0.5)
    theirs = dict(window=np.int64(3), softcap=np.float32(2.5), scale=np.float32(0.5))
    assert torch.equal(flash_attention(q, k, v, **theirs), plain)


def test_a_sink_of_minus_infinity_is_no_sink():
    q, k, v = make(HERE, 7, 5)
    nothing = torch.full((1,), -torch.inf, device=HERE.device)
    got = flash_attention(q, k, v, causal=True, sinks=nothing, return_lse=True)
    want = flash_attention(q, k, v, causal=True, return_lse=True)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_the_face_knows_it():
    q, k, v = make(HERE, 5, 9)
    assert torch.equal(ml.attention(q, k, v, backend="triton", causal=True), flash_attention(q, k, v, causal=True))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"dtype": torch.float64},
            Unsupported,
            "takes float16, bfloat16 and float32; got torch.float64; use backend='tiled'",
        ),
        ({"D": 257}, Unsupported, "head widths D up to 256; got 257; use backend='tiled', 'sdpa' or 'naive'"),
        ({"H": 3, "G": 2}, InvalidValue, "num_heads H must be a multiple of num_kv_heads G; got 3 and 2"),
    ],
    ids=str,
)
def test_what_the_kernel_cannot_take_is_refused_by_name(change, error, text):
    with pytest.raises(error, match=text):
        flash_attention(*make(HERE, 3, 3, **change))


def test_what_a_kernel_would_lose_is_refused():
    """Tangents and torch.func's wrappers are in no memory that a kernel can read."""
    q, k, v = make(HERE, 3, 3)
    with forward_ad.dual_level(), pytest.raises(Unsupported, match="k with a tangent; use backend='naive'"):
        flash_attention(q, forward_ad.make_dual(k, k), v)
    for transform in (torch.func.grad, torch.func.vmap):
        with pytest.raises(Unsupported, match="q inside one of them; use backend='naive' there"):
            transform(lambda x: flash_attention(x.reshape(q.shape), k, v).sum())(q)


def test_tensors_of_inference_mode_have_no_gradients():
    with torch.inference_mode():
        q, k, v = make(HERE, 3, 3)
    flash_attention(q, k, v)
    with pytest.raises(Unsupported, match=r"inference_mode for a backward; .* pass its .clone"):
        flash_attention(q.clone().requires_grad_(), k, v)


@pytest.mark.skipif(mode().name != "interpreter", reason="on a GPU the refusal is that of any other device")
def test_tensors_without_memory_are_refused():
    with pytest.raises(InvalidValue, match='got a tensor on "meta"; make it on the CPU, or compile the call'):
        flash_attention(*(x.to("meta") for x in make(HERE, 3, 3)))


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ((7, 64), InvalidValue, "block_l must be at least 16; got 7"),
        ((64, 48), InvalidValue, "block_s must be a power of two; got 48; use 32 or 64"),
        ((64, 64, 3), InvalidValue, "num_warps must be a power of two; got 3; use 2 or 4"),
        ((64, 64, 4, 0), InvalidValue, "num_stages must be at least 1; got 0"),
        ((64.0, 64), InvalidType, "block_l must be a whole number; got 64.0"),
    ],
    ids=str,
)
def test_tiles_that_no_dot_can_take_are_refused_when_they_are_made(wrong, error, text):
    with pytest.raises(error, match=text):
        Tiles(*wrong)


def test_tiles_must_be_tiles():
    with pytest.raises(InvalidType, match=r"tiles must be Tiles.*got .64, 64.; import Tiles from minillm.kernels"):
        flash_attention(*make(HERE, 3, 3), tiles=(64, 64))


def test_bad_options_are_refused_before_any_work(monkeypatch):
    module = importlib.import_module("minillm.kernels.flash_attention")
    monkeypatch.setattr(module, "launch", lambda *_, **__: pytest.fail("a kernel was launched"))
    q, k, v = make(HERE, 3, 3)
    for options, error in (
        ({"window": 0}, InvalidValue),
        ({"causal": 1}, InvalidType),
        ({"sinks": [0.0]}, InvalidType),
    ):
        with pytest.raises(error):
            flash_attention(q, k, v, **options)
    with pytest.raises(InvalidType, match="share one dtype"):
        flash_attention(q, k.half(), v)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_offsets_past_two_to_the_31st(dtype):
    """Sequences, and then keys, that lie more than 2**31 elements apart in one buffer of 4.5 or 9 GiB."""
    q, k, v = make(FULL, 200, 300, B=2, D=64, dtype=dtype)
    memory = torch.empty(2**31 + 2**28, dtype=dtype, device="cuda")
    far_k = memory.as_strided((2, 300, 1, 64), (2**31, 64, 64, 1))
    far_k.copy_(k)
    want = flash_attention(q, k, v, causal=True)
    assert torch.equal(flash_attention(q, far_k, v, causal=True), want)
    step = (2**31 + 2**27) // 300 // 16 * 16
    assert 299 * step > 2**31
    spread = memory.as_strided((1, 300, 1, 64), (0, step, 64, 1))
    spread.copy_(k[:1])
    assert torch.equal(flash_attention(q[:1], spread, v[:1], causal=True), want[:1])


@pytest.mark.gpu
@pytest.mark.parametrize("D", [64, 128])
def test_a_long_call_agrees_with_itself_in_parts(D):
    """16k tokens are too many for an oracle: their first and last rows, asked alone, must be the same."""
    q, k, v = make(FULL, 16_384, 16_384, H=4, G=2, D=D, dtype=torch.bfloat16)
    out = flash_attention(q, k, v, causal=True)
    flash_battery.faithful(flash_attention, q[:, -128:], k, v, causal=True)
    want, _ = oracle(q[:, -128:], k, v, causal=True)
    assert (out[:, -128:].double() - want).abs().max() <= 2**-8 * want.abs().max()
    want, _ = oracle(q[:, :128], k[:, :128], v[:, :128], causal=True)
    assert (out[:, :128].double() - want).abs().max() <= 2**-7 * want.abs().max()
