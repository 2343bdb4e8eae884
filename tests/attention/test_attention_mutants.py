"""The battery has teeth: it rejects every wrong answer by the named check, and accepts right ones of different make."""

import importlib.util
from pathlib import Path

import pytest
import torch
from attention_battery import CHECKS
from attention_cases import loop_attention

from minillm.attention.dispatch import attention
from minillm.attention.naive import visible

FOLDER = Path(__file__).parents[1] / "wrong_answers" / "attention"
WRONG = sorted(path.stem for path in FOLDER.glob("*.py"))
EVERYTHING = frozenset({"causal", "window", "softcap", "sinks", "scale", "return_lse"})


def load(name):
    spec = importlib.util.spec_from_file_location(f"wrong_attention_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complaint(name, function):
    """What the check says about the function, or None. Only an AssertionError counts: a crash is not a rejection."""
    run, _ = CHECKS[name]
    try:
        run(function, EVERYTHING)
    except AssertionError as failure:
        return str(failure)
    return None


def online_softmax(q, k, v, *, causal=False, window=None, softcap=0.0, sinks=None, scale=None, return_lse=False):
    """A right answer of another make: one key at a time, a running maximum, sum and output."""
    (_, L, H, D), S = q.shape, k.shape[1]
    state = torch.float64 if q.dtype == torch.float64 else torch.float32
    q_, k_, v_ = (
        q.to(state),
        k.to(state).repeat_interleave(H // k.shape[2], 2),
        v.to(state).repeat_interleave(H // k.shape[2], 2),
    )
    m = q_.new_full(q.shape[:3], -1e30) if sinks is None else sinks.to(state).expand(q.shape[:3])
    l = q_.new_zeros(q.shape[:3]) if sinks is None else torch.ones_like(m)
    o, seen = torch.zeros_like(q_), visible(L, S, causal, window)
    for j in range(S):
        s = torch.einsum("blhd,bhd->blh", q_, k_[:, j]) * (D**-0.5 if scale is None else scale)
        s = softcap * torch.tanh(s / softcap) if softcap else s
        look = seen[:, j][None, :, None]
        new_m = torch.where(look, torch.maximum(m, s.detach()), m)
        shrink, weight = torch.exp(m - new_m), torch.where(look, torch.exp(s.masked_fill(~look, 0) - new_m), 0.0)
        weight = weight.masked_fill(~look, 0)
        l, o, m = l * shrink + weight, o * shrink[..., None] + weight[..., None] * v_[:, j, None], new_m
    blind = l == 0
    total = l.masked_fill(blind, 1)
    out = (o / total[..., None]).to(q.dtype)
    lse = (m + total.log()).masked_fill(blind, -torch.inf).transpose(1, 2)
    return (out, lse) if return_lse else out


def loop(q, k, v, *, return_lse=False, **options):
    out, lse = loop_attention(q, k, v, **options)
    return (out.to(q.dtype), lse) if return_lse else out.to(q.dtype)


def test_the_wrong_answers_are_all_here():
    assert len(WRONG) >= 20


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_answer_is_rejected_by_its_checks(name):
    wrong = load(name)
    for expected in wrong.CAUGHT_BY:
        assert complaint(expected, wrong.attention), f"{expected} let {name} pass"


def test_every_check_rejects_something():
    assert {name for wrong in WRONG for name in load(wrong).CAUGHT_BY} == set(CHECKS)


# The oracle and the fused call take the same checks in test files of their own.
@pytest.mark.parametrize("right", [attention, online_softmax], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", CHECKS)
def test_right_answers_are_accepted(name, right):
    assert complaint(name, right) is None


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"gradients", "blind_rows", "half_precision", "large_logits"}))
def test_the_definition_passes_its_own_checks(name):
    assert complaint(name, loop) is None
