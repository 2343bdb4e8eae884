"""torch's fused call against the loop and the oracle, and the promise that masks are built only when needed."""

import pytest
import torch
from attention_battery import CHECKS, HEADS
from attention_cases import assert_close, option_plans, some_sinks, tensors, with_sinks

from minillm.attention import sdpa
from minillm.attention.naive import naive_attention
from minillm.attention.sdpa import OPTIONS, attend, sdpa_attention
from minillm.errors import Unsupported

# Largest difference from the float64 oracle for outputs of size about 1. Logits reach 25 here, and a float32 logit of 25 is
# known to 2e-6; the two halves are bound by their one rounding of the probabilities and one of the output.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


@pytest.mark.parametrize("name", [name for name, (_, needs) in CHECKS.items() if needs <= OPTIONS])
def test_sdpa_passes(name):
    CHECKS[name][0](sdpa_attention, OPTIONS)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("D", [8, 80])
def test_sdpa_equals_naive(dtype, D):
    for plan in option_plans(OPTIONS):
        for L, S, (H, G) in [(1, 33, HEADS[1]), (7, 16, HEADS[2]), (33, 33, HEADS[0]), (16, 7, HEADS[3])]:
            q, k, v = tensors(L, S, H, G, D=D, dtype=dtype)
            options = with_sinks(plan, H)
            want = naive_attention(q.double(), k.double(), v.double(), **options)
            got = sdpa_attention(q, k, v, **options)
            assert got.dtype == dtype
            assert_close(got, want, TOLERANCE[dtype], f"{dtype} {L}x{S} H={H} G={G} D={D} {options}")


@pytest.mark.parametrize(("L", "S"), [(1, 33), (7, 16), (16, 16), (16, 7)])
def test_gradients_in_float32(L, S):
    """The fused backward has paths of its own in float32, which finite differences in float64 do not reach."""
    for plan in option_plans(OPTIONS):
        q, k, v = (x.requires_grad_() for x in tensors(L, S, D=64, dtype=torch.float32))
        options = with_sinks(plan, 4)
        got = torch.autograd.grad(sdpa_attention(q, k, v, **options).square().sum(), (q, k, v))
        wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
        want = torch.autograd.grad(naive_attention(*wide, **options).square().sum(), wide)
        for name, g, w in zip("qkv", got, want, strict=True):
            # With one key in sight dq is a difference of two equal numbers of about 100, each known to 1e-5.
            peak = w.abs().max().clamp_min(1.0)
            assert_close(g / peak, w / peak, 5e-5, f"d{name} {L}x{S} {options}")


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("L", [1, 7])
def test_large_logits_in_every_dtype(dtype, L):
    q, k, v = tensors(L, 33, D=64, dtype=dtype)
    q = q * 25  # logits beyond 100 in size
    want = naive_attention(q, k, v, causal=True)
    assert_close(sdpa_attention(q, k, v, causal=True), want, 10 * TOLERANCE[dtype], f"{dtype} L={L}")


def test_a_sink_is_not_rounded_to_half_precision():
    q, k, v = tensors(3, 5, dtype=torch.bfloat16)
    sinks = torch.full((4,), 5.015625)  # halfway between two bfloat16 numbers
    got = sdpa_attention(q, k, torch.ones_like(v), sinks=sinks)
    want = naive_attention(q, k, torch.ones_like(v), sinks=sinks)
    rounded = naive_attention(q, k, torch.ones_like(v), sinks=sinks.bfloat16())
    assert (got - want).abs().max() < (rounded - want).abs().max()


@pytest.mark.parametrize("option", [{"softcap": 20.0}, {"return_lse": True}])
def test_what_the_library_lacks_is_refused_with_a_remedy(option):
    with pytest.raises(Unsupported, match="use backend='naive'"):
        sdpa_attention(*tensors(3, 3), **option)


FAST = {
    "full": (4, 9, {}),
    "one query": (1, 9, {"causal": True}),
    "one query, window": (1, 9, {"causal": True, "window": 4}),
    "square causal": (9, 9, {"causal": True}),
    "more queries than keys": (9, 4, {"causal": True}),
    "window wider than the keys": (9, 9, {"causal": True, "window": 9}),
}


@pytest.mark.parametrize("name", FAST)
def test_fast_paths_build_no_mask(name, monkeypatch):
    L, S, options = FAST[name]
    monkeypatch.setattr(sdpa, "visible", lambda *_: pytest.fail("a mask was built"))
    attend(*tensors(L, S), **options)


def test_keys_outside_the_window_are_never_read():
    q, k, v = tensors(2, 50)
    k[:, :45], v[:, :45] = float("nan"), float("nan")  # the first query sees keys 46..48
    assert attend(q, k, v, causal=True, window=3).isfinite().all()


def test_one_query_copies_no_keys():
    """Decoding reads shared keys in place: peak memory stays far below one repeated copy of them."""
    q, k, v = tensors(1, 4000, H=8, G=1, D=64, B=1, dtype=torch.float32)
    repeated = k.numel() * k.element_size() * 8
    with torch.profiler.profile(profile_memory=True) as profile:
        attend(q, k, v, causal=True)
    allocated = sum(max(0, event.self_cpu_memory_usage) for event in profile.events())
    assert allocated < repeated / 8


@pytest.mark.parametrize(("L", "S"), [(5, 5), (3, 7), (1, 7), (7, 3)])
def test_a_scale_of_zero_keeps_its_mask(L, S):
    """0 times torch's -inf would be NaN; what is left is the mean of what is seen."""
    q, k, v = (torch.randn(2, n, 4, 8, dtype=torch.float64) for n in (L, S, S))
    for window in (None, 2):
        want = naive_attention(q, k, v, causal=True, scale=0.0, window=window)
        assert_close(sdpa_attention(q, k, v, causal=True, scale=0.0, window=window), want, 1e-12)


def test_a_negative_scale_keeps_its_mask():
    """Torch's own causal mask is multiplied by the scale on a CPU, and -inf becomes inf."""
    q, k, v = tensors(9, 9)
    want = naive_attention(q.double(), k.double(), v.double(), causal=True, scale=-0.3)
    assert_close(sdpa_attention(q, k, v, causal=True, scale=-0.3), want, TOLERANCE[q.dtype])


def test_inputs_are_left_alone():
    q, k, v = tensors(5, 5)
    before = [x.clone() for x in (q, k, v)]
    sdpa_attention(q, k, v, causal=True, window=2, sinks=some_sinks(4))
    assert all(torch.equal(x, y) for x, y in zip((q, k, v), before, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA or ROCm device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_sdpa_equals_naive_on_a_gpu(dtype):
    for plan in option_plans(OPTIONS):
        for L, S, (H, G) in [(1, 33, (4, 2)), (7, 16, (6, 2)), (33, 33, (4, 4)), (16, 7, (5, 1)), (4, 0, (4, 2))]:
            q, k, v = (x.cuda() for x in tensors(L, S, H, G, D=64, dtype=dtype))
            options = {**plan, "sinks": some_sinks(H).cuda()} if plan.get("sinks") else plan
            want = naive_attention(q.double(), k.double(), v.double(), **options)
            tolerance = 5e-3 if dtype == torch.float32 else TOLERANCE[dtype]
            assert_close(sdpa_attention(q, k, v, **options), want, tolerance, f"{dtype} {L}x{S} {options}")
