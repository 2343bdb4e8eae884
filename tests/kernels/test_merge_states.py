"""Attention to parts merges into attention to the whole, however it was cut, in whatever order, with empty parts among them."""

import dataclasses
import math
from itertools import permutations

import pytest
import torch
from attention_cases import assert_close, heads_first, padded, tensors
from flash_battery import DTYPES, SMALL, Size, make, oracle

import minillm as ml
from minillm.attention.merge import naive_merge_states
from minillm.attention.naive import naive_attention
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention, merge_states, mode
from minillm.kernels.runtime import allow_tile_steps, rehearse

HERE = dataclasses.replace(SMALL, device="cuda" if mode().name == "gpu" else "cpu")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")
kernel_only = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
FORMS = [pytest.param(merge_states, marks=kernel_only), naive_merge_states]
forms = pytest.mark.parametrize("merge", FORMS, ids=["kernel", "naive"])


def cut(k, v, *ends):
    """(k, v) of each part of the keys."""
    return [(k[:, a:b], v[:, a:b]) for a, b in zip((0, *ends), (*ends, k.shape[1]), strict=True)]


def parts_of(q, k, v, *ends, **options):
    """outs and lses of attention to each part of the keys, by the naive form."""
    states = [naive_attention(q, *part, return_lse=True, **options) for part in cut(k, v, *ends)]
    return [out for out, _ in states], [lse.float() for _, lse in states]


def states(n=3, B=2, L=5, H=4, D=32, dtype=torch.float32, size=3.0, seed=0):
    """n random states, whose logs differ by several units."""
    generator = torch.Generator().manual_seed(seed)
    outs = torch.randn(n, B, L, H, D, generator=generator).to(dtype).to(HERE.device)
    return outs, (torch.randn(n, B, H, L, generator=generator) * size).to(HERE.device)


@forms
@pytest.mark.parametrize("ends", [(), (33,), (1, 2), (0, 0, 40, 69), (70,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_parts_of_the_keys_merge_into_the_whole(merge, ends, dtype):
    q, k, v = make(HERE, 7, 70, H=4, G=2, D=80, dtype=dtype)
    out, lse = merge(*parts_of(q, k, v, *ends, softcap=5.0))
    want, want_lse = oracle(q, k, v, softcap=5.0)
    assert out.dtype == dtype and lse.dtype == torch.float32
    unit = torch.finfo(dtype).eps
    assert (out.double() - want).abs().max() <= max(2 * unit, 2e-5) * want.abs().max()
    assert_close(lse, want_lse, 2e-5, "lse")


@kernel_only
def test_the_flash_kernels_parts_merge():
    """A prefix that all rows see, and a causal rest: how a shared prompt is attended to once."""
    q, k, v = make(HERE, 40, 90, H=2)
    (prefix, rest) = cut(k, v, 50)
    parts = [
        flash_attention(q, *prefix, return_lse=True),
        flash_attention(q, *rest, causal=True, return_lse=True),
    ]
    out, lse = merge_states(*zip(*parts, strict=True))
    want, want_lse = oracle(q, k, v, causal=True)
    assert_close(out, want, 1e-5, "out")
    assert_close(lse, want_lse, 2e-5, "lse")


@forms
def test_any_order_and_any_grouping_agree_to_rounding(merge):
    outs, lses = states()
    want_out, want_lse = merge(outs, lses)
    for order in permutations(range(3)):
        out, lse = merge([outs[i] for i in order], [lses[i] for i in order])
        assert_close(out, want_out, 1e-6, f"order {order}")
        assert_close(lse, want_lse, 1e-6, f"order {order}")
    first, rest = merge(outs[:2], lses[:2]), (outs[2], lses[2])
    out, lse = merge(*zip(first, rest, strict=True))
    assert_close(out, want_out, 1e-6, "grouped")
    assert_close(lse, want_lse, 1e-6, "grouped")


@forms
def test_one_part_is_itself(merge):
    outs, lses = states(n=1)
    out, lse = merge(outs, lses)
    assert torch.equal(out, outs[0]) and torch.equal(lse, lses[0])


@forms
def test_what_saw_nothing_has_no_weight_whatever_it_holds(merge):
    outs, lses = states()
    want = merge(outs[[0, 2]], lses[[0, 2]])
    outs[1], lses[1] = math.nan, -math.inf
    got = merge(outs, lses)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@forms
def test_rows_that_no_part_saw_are_zero(merge):
    outs, lses = states()
    lses[:, :, 1, 3] = -math.inf
    out, lse = merge(outs, lses)
    assert out[:, 3, 1].eq(0).all() and lse[:, 1, 3].eq(-math.inf).all()
    assert not out.isnan().any() and lse.isinf().sum() == 2


@forms
def test_logs_far_apart_neither_overflow_nor_lose_the_answer(merge):
    outs, lses = states()
    lses[0], lses[1], lses[2] = 1e4, -1e4, 1e4 + 1
    share = math.e / (1 + math.e)
    out, lse = merge(outs, lses)
    assert_close(out, (1 - share) * outs[0] + share * outs[2], 1e-5, "out")
    assert_close(lse, torch.full_like(lse, 1e4 + math.log(1 + math.e)), 1e-6, "lse")


@forms
def test_stacks_lists_and_strided_views_are_one(merge):
    outs, lses = states(D=80)
    want = merge(outs, lses)
    views = (
        (list(outs), list(lses)),
        (
            heads_first(outs.flatten(0, 1)).unflatten(0, outs.shape[:2]),
            lses.transpose(2, 3).contiguous().transpose(2, 3),
        ),
        (outs.transpose(3, 4).contiguous().transpose(3, 4), padded(lses)),
        (tuple(padded(x) for x in outs), tuple(lses)),
    )
    for outs_, lses_ in views:
        assert all(torch.equal(a, b) for a, b in zip(merge(outs_, lses_), want, strict=True))


@forms
@pytest.mark.parametrize("shape", [(3, 0, 5, 4, 32), (3, 2, 0, 4, 32), (1, 1, 1, 1, 1), (5, 1, 200, 1, 3)], ids=str)
def test_awkward_sizes(merge, shape):
    n, B, L, H, D = shape
    outs, lses = states(n, B, L, H, D)
    out, lse = merge(outs, lses)
    want, want_lse = naive_merge_states(outs.double(), lses.double())
    assert_close(out, want, 1e-6, "out")
    assert_close(lse, want_lse, 1e-6, "lse")


@forms
def test_outputs_are_written_everywhere_and_inputs_left_alone(merge, monkeypatch):
    outs, lses = states()
    before, real = (outs.clone(), lses.clone()), torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, **kinds: real(*shape, **kinds).fill_(math.nan))
    out, lse = merge(outs, lses)
    assert not out.isnan().any() and not lse.isnan().any()
    assert torch.equal(outs, before[0]) and torch.equal(lses, before[1])


def test_the_naive_form_keeps_float64_and_gradients():
    q, k, v = (x.requires_grad_() for x in tensors(3, 9, D=4, B=1))

    def merged(q, k, v):
        whole = [naive_attention(q, *part, return_lse=True, causal=False) for part in cut(k, v, 4)]
        return naive_merge_states(*zip(*whole, strict=True))

    assert merged(q, k, v)[0].dtype == merged(q, k, v)[1].dtype == torch.float64
    got = torch.autograd.grad(sum(x.sin().sum() for x in merged(q, k, v)), (q, k, v))
    want = torch.autograd.grad(sum(x.sin().sum() for x in naive_attention(q, k, v, return_lse=True)), (q, k, v))
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, 1e-11, "gradient")


def test_gradients_of_rows_that_no_part_saw_are_zero():
    outs, lses = (x.double().requires_grad_() for x in states())
    with torch.no_grad():
        lses[:, 0, 0, 0] = -math.inf
    out, lse = naive_merge_states(outs, lses)
    gradients = torch.autograd.grad(out.sum() + lse[lse.isfinite()].sum(), (outs, lses))
    assert all(g.isfinite().all() for g in gradients) and gradients[0][:, 0, 0, 0].eq(0).all()


@interpreted
def test_counters():
    """Each part is read once and the result written once; a part that saw nothing costs its log only."""
    outs, lses = states(n=4, B=1, L=10, H=2, D=32, dtype=torch.bfloat16)
    rows = 10 * 2
    with ml.count() as c:
        merge_states(outs, lses)
    assert (c.bytes_loaded, c.bytes_stored, c.flops) == (4 * rows * (32 * 2 + 4), rows * (32 * 2 + 4), 0)
    lses[2] = -math.inf
    with ml.count() as c:
        merge_states(outs, lses)
    assert c.bytes_loaded == rows * (3 * 32 * 2 + 4 * 4)


OUTS, LSES = states(2, 1, 3, 2, 8)
BAD = {
    "no parts": (([], []), InvalidValue, "outs must hold at least one part; got none"),
    "an empty stack": ((OUTS[:0], LSES[:0]), InvalidValue, r"got \(0, 1, 3, 2, 8\)"),
    "one part unstacked": ((OUTS[0], LSES[0]), InvalidValue, r"outs must be parts \(B, L, H, D\), stacked .* got \(1, 3, 2, 8\)"),
    "an lse short": ((OUTS, LSES[:1]), InvalidValue, "as many parts; got 2 and 1"),
    "rows before heads": ((OUTS, LSES.transpose(2, 3)), InvalidValue, r"\(B, H, L\); got \(1, 3, 2\) for out \(1, 3, 2, 8\)"),
    "shapes differ": (([OUTS[0], OUTS[1][:, :2]], list(LSES)), InvalidValue, "all outs must be alike; got"),
    "dtypes differ": (([OUTS[0], OUTS[1].half()], list(LSES)), InvalidValue, "alike; got .*float16 .* and .*float32"),
    "a number": (([OUTS[0], 1.0], list(LSES)), InvalidType, "outs must be a list of tensors"),
    "integers": ((OUTS.int(), LSES), InvalidType, "floating-point numbers; got torch.int32"),
    "rounded logs": ((OUTS, LSES.half()), InvalidType, "lses must be float32, or float64.* got torch.float16"),
    "elsewhere": ((OUTS, LSES.to("meta")), InvalidValue, "on one device; got .* and meta"),
}  # fmt: skip


@forms
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(merge, case):
    call, error, text = BAD[case]
    with pytest.raises(error, match=text):
        merge(*call)


def test_what_the_kernel_lacks_names_the_form_that_has_it():
    with pytest.raises(Unsupported, match=r"outs of float16 or .* got torch.float64; use minillm.*naive_merge_states"):
        merge_states(OUTS.double(), LSES)
    with pytest.raises(Unsupported, match=r"lses of float32; got torch.float64; use .*naive_merge_states"):
        merge_states(OUTS, LSES.double())
    with pytest.raises(Unsupported, match=r"no backward pass.* outs with requires_grad=True; use .*naive_merge_states"):
        merge_states(OUTS.clone().requires_grad_(), LSES)


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    outs, lses = states(n=3, B=1, L=200, H=4, D=64)
    with allow_tile_steps(7):
        with pytest.raises(
            InvalidValue, match=r"got 39; use at most 128 rows .*, or minillm.*naive_merge_states, or a GPU"
        ):
            merge_states(outs, lses)
        merge_states(outs[:, :, :32], lses[..., :32])


def test_it_can_be_rehearsed_for_a_gpu_that_nobody_has():
    with rehearse("sm_90") as launches:
        out, lse = merge_states(OUTS.to("meta"), LSES.to("meta"))
    assert len(launches) == 1 and (out.shape, lse.shape) == (OUTS.shape[1:], LSES.shape[1:])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_parts_merge_at_full_size(dtype):
    q, k, v = make(Size(1, 1, 1, "cuda"), 1000, 4095, H=8, G=2, D=128, B=2, dtype=dtype)
    parts = [flash_attention(q, *part, return_lse=True) for part in cut(k, v, 1, 1000, 1000, 3000)]
    out, lse = merge_states(*zip(*parts, strict=True))
    want, want_lse = oracle(q, k, v)
    assert (out.double() - want).abs().max() <= max(4 * torch.finfo(dtype).eps, 2e-5) * want.abs().max()
    assert_close(lse, want_lse, 2e-5, "lse")


def test_rows_too_wide_to_hold_are_refused():
    wide = torch.empty(2, 1, 1, 1, 65_537, device=OUTS.device)
    with pytest.raises(Unsupported, match=r"widths D up to 65,536; got 65,537; use minillm.attention.merge"):
        merge_states(wide, torch.zeros(2, 1, 1, 1, device=OUTS.device))


def test_sparse_parts_are_refused():
    with pytest.raises(InvalidType, match=r"outs must be dense; got .*; use .to_dense"):
        merge_states([part.to_sparse() for part in OUTS], list(LSES))
