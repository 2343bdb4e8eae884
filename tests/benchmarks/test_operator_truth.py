"""The benchmarks' truth is the oracle's, on the rows it samples; and what is far from it is refused, however it is far."""

import pytest
import torch
from truth import (
    RMS_LIMITS,
    Sample,
    WrongAnswer,
    attention_gradients,
    attention_rows,
    require_right,
    sample_rows,
)

import minillm as ml


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("L", "S"), [(9, 9), (5, 12), (12, 5), (1, 1)])
def test_sampled_rows_are_the_oracles(L, S, causal):
    q, k, v = normal(L, 6, 8), normal(S, 2, 8, seed=1), normal(S, 2, 8, seed=2)
    rows = torch.arange(0, L, 2)
    want = ml.attention(q[None], k[None], v[None], causal=causal, backend="naive")[0, rows]
    assert (attention_rows(q, k, v, rows, causal) - want).abs().max() < 1e-12


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("L", "S"), [(9, 9), (5, 12), (12, 5)])
def test_gradients_are_those_of_the_oracle_whatever_the_chunk(monkeypatch, L, S, causal):
    monkeypatch.setattr("truth.CHUNK_ROWS", 4)
    q, k, v, dout = normal(L, 3, 8), normal(S, 8, seed=1), normal(S, 8, seed=2), normal(L, 3, 8, seed=3)
    leaves = [x.clone().requires_grad_() for x in (q[None], k[None, :, None], v[None, :, None])]
    out = ml.attention(*leaves, causal=causal, backend="naive")
    want = torch.autograd.grad(out, leaves, dout[None])
    for got, wanted in zip(attention_gradients(q, k, v, dout, causal), want, strict=True):
        assert (got - wanted.reshape(got.shape)).abs().max() < 1e-12


@pytest.mark.parametrize(("count", "wanted"), [(1, 8), (2, 8), (1000, 8), (10, 1)])
def test_the_first_and_the_last_row_are_always_looked_at(count, wanted):
    rows = sample_rows(count, wanted, torch.Generator().manual_seed(0)).tolist()
    assert rows == sorted(set(rows)) and {0, count - 1} <= set(rows) <= set(range(count))
    assert len(rows) <= max(wanted, 2)


def check(got, want, dtype="bfloat16"):
    return require_right(got, [Sample(lambda out: out, want)], dtype)


def test_rounding_is_right_and_is_reported():
    want = normal(64, 64)
    errors = check(want.bfloat16(), want)
    assert errors.largest == (want.bfloat16().double() - want).abs().max()
    assert 1e-3 < errors.rms < RMS_LIMITS["bfloat16"]


def nan_somewhere(x):
    x[3, 5] = float("nan")
    return x


def one_row_off(x):
    x[7] = x[6]
    return x


def one_element_off(x):
    x[3, 5] += 4.0
    return x


@pytest.mark.parametrize("fault", [nan_somewhere, one_row_off, one_element_off, lambda x: x[:-1], lambda x: x * 1.01])
def test_what_is_wrong_is_refused(fault):
    want = normal(200, 64)
    with pytest.raises(WrongAnswer):
        check(fault(want.clone()), want)


def test_float32_is_held_to_more_than_bfloat16():
    want = normal(64, 64)
    with pytest.raises(WrongAnswer, match=r"2\.0e-05 allowed"):
        check(want.bfloat16(), want, "float32")


def test_every_sample_counts():
    want = normal(8, 8)
    samples = [Sample(lambda out: out[0], want), Sample(lambda out: out[1], want)]
    with pytest.raises(WrongAnswer):
        require_right((want, want + 1), samples, "bfloat16")
