"""The oracle against an independent loop, and the pieces a learner reads."""

import math

import pytest
import torch
from attention_battery import CHECKS
from attention_cases import assert_close, loop_attention, some_sinks, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.attention.naive import attention_probabilities, naive_attention, share_heads, visible

EVERYTHING = frozenset({"causal", "window", "softcap", "sinks", "scale", "return_lse"})


@pytest.mark.parametrize("name", CHECKS)
def test_naive_passes(name):
    CHECKS[name][0](naive_attention, EVERYTHING)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    L=st.integers(0, 6),
    S=st.integers(0, 6),
    heads=st.sampled_from([(1, 1), (4, 4), (4, 2), (6, 2), (5, 1)]),
    causal=st.booleans(),
    window=st.none() | st.integers(1, 8),
    softcap=st.sampled_from([0.0, 0.5, 30.0]),
    with_sinks=st.booleans(),
    scale=st.none() | st.floats(-2, 2),
)
def test_naive_equals_the_loop(L, S, heads, causal, window, softcap, with_sinks, scale):
    q, k, v = tensors(L, S, *heads, D=5, B=1, seed=L + 7 * S)
    sinks = some_sinks(heads[0]) if with_sinks else None
    options = {"causal": causal, "window": window, "softcap": softcap, "sinks": sinks, "scale": scale}
    out, lse = naive_attention(q, k, v, return_lse=True, **options)
    want_out, want_lse = loop_attention(q, k, v, **options)
    assert_close(out, want_out, 1e-12, "out")
    assert_close(lse, want_lse, 1e-12, "lse")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_the_float32_result_rounded_once(dtype):
    q, k, v = tensors(7, 16, dtype=dtype)
    out, lse = naive_attention(q, k, v, causal=True, return_lse=True)
    wide, wide_lse = naive_attention(q.float(), k.float(), v.float(), causal=True, return_lse=True)
    assert out.dtype == dtype and lse.dtype == torch.float32
    assert torch.equal(out, wide.to(dtype)) and torch.equal(lse, wide_lse)


def test_float64_keeps_float64_state():
    q, k, v = tensors(3, 5)
    out, lse = naive_attention(q, k, v, return_lse=True)
    assert out.dtype == lse.dtype == torch.float64


def test_blind_rows_have_the_sink_as_lse():
    q, k, v = tensors(5, 2)
    sinks = some_sinks(4)
    _, lse = naive_attention(q, k, v, causal=True, sinks=sinks, return_lse=True)
    assert torch.equal(lse[:, :, :3], sinks[:, None].expand(2, 4, 3))


def test_gradient_of_lse_is_finite_when_rows_are_blind():
    q, k, v = (x.requires_grad_() for x in tensors(5, 2))
    _, lse = naive_attention(q, k, v, causal=True, return_lse=True)
    gradients = torch.autograd.grad(lse[:, :, 3:].sum() + 0 * lse[:, :, :3].exp().sum(), (q, k))
    assert all(g.isfinite().all() for g in gradients)


def test_inputs_are_left_alone():
    q, k, v = tensors(5, 5)
    before = [x.clone() for x in (q, k, v)]
    naive_attention(q, k, v, causal=True, window=2, softcap=1.0, sinks=some_sinks(4))
    assert all(torch.equal(x, y) for x, y in zip((q, k, v), before, strict=True))


def test_probabilities_rebuild_the_output_and_sum_to_one():
    q, k, v = tensors(4, 7)
    probabilities, _ = attention_probabilities(q, k, causal=True)
    assert probabilities.shape == (2, 4, 4, 7)
    assert_close(probabilities.sum(-1), torch.ones(2, 4, 4), 1e-14, "rows")
    out = torch.einsum("bhls,bshd->blhd", probabilities, share_heads(v, 4))
    assert_close(out, naive_attention(q, k, v, causal=True), 1e-14, "out")


def test_visible_is_drawn_as_the_words_say():
    drawn = ["".join(".#"[int(seen)] for seen in row) for row in visible(3, 5, causal=True, window=2)]
    assert drawn == [".##..", "..##.", "...##"]


def test_share_heads_is_a_view_when_nothing_is_shared():
    x = torch.zeros(1, 2, 4, 8)
    assert share_heads(x, 4).data_ptr() == x.data_ptr()


def test_no_query_and_no_key():
    q, k, v = tensors(0, 5)
    assert naive_attention(q, k, v, causal=True).shape == (2, 0, 4, 8)
    q, k, v = tensors(3, 0)
    out, lse = naive_attention(q, k, v, return_lse=True)
    assert out.eq(0).all() and lse.eq(-math.inf).all()
