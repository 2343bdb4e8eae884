"""The block-wise battery has teeth: it rejects every wrong walk by the named check, and accepts right ones of other make."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from blockwise import attention_of, finish, finite
from flash_battery import CHECKS, SMALL

from minillm.attention.naive import naive_attention

FOLDER = Path(__file__).parents[1] / "wrong_answers" / "kernels"
WRONG = sorted(path.stem for path in FOLDER.glob("flash_*.py"))


def load(name):
    spec = importlib.util.spec_from_file_location(f"wrong_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complaint(name, function):
    """What the check says about the function, or None. Only an AssertionError counts: a crash is not a rejection."""
    try:
        CHECKS[name](function, SMALL)
    except AssertionError as failure:
        return str(failure)
    return None


@attention_of
def deferred(work):
    """FlashAttention 2's walk: the output is divided once, at the end."""
    m, l, acc = work.begin()
    for start in work.starts:
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        m_new = torch.maximum(m, s.amax(1))
        p = torch.exp(s - finite(m_new)[:, None])
        alpha = torch.exp(m - finite(m_new))
        acc = acc * alpha[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        l = l * alpha + p.sum(1)
        m = m_new
    return finish(m, l, acc)


@attention_of
def normalised_backwards(work):
    """FlashAttention 1's walk, from the last key to the first: the output is an average at all times, by its lse."""
    m, l, acc = work.begin()
    lse = m + l.log() if work.sink is not None else m
    out = acc
    for start in reversed(work.starts):
        s = work.scores(start).masked_fill(~work.visible(start), -math.inf)
        new = torch.logaddexp(lse, s.logsumexp(1))
        p = torch.exp(s - finite(new)[:, None])
        out = out * torch.exp(lse - finite(new))[:, None] + p.to(work.v.dtype).float() @ work.tile(work.v, start)
        lse = new
    return out, lse


def test_the_wrong_answers_are_all_here():
    assert len(WRONG) >= 19


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_walk_is_rejected_by_its_checks(name):
    wrong = load(name)
    for expected in wrong.CAUGHT_BY:
        assert complaint(expected, wrong.attention), f"{expected} let {name} pass"


def test_every_check_rejects_something():
    assert {name for wrong in WRONG for name in load(wrong).CAUGHT_BY} == set(CHECKS)


# The tiled form and the kernel take the same checks in test files of their own.
@pytest.mark.parametrize(
    "right", [deferred, normalised_backwards, naive_attention], ids=["deferred", "backwards", "naive"]
)
@pytest.mark.parametrize("name", CHECKS)
def test_right_walks_are_accepted(name, right):
    assert complaint(name, right) is None
