"""Softmax of the rows of a matrix: our two kernels beside `torch.softmax`. All memory and no arithmetic, so bytes decide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from plan import Case
from torch import Tensor
from truth import SAMPLED_ROWS, Sample, sample_rows

import minillm as ml

ONLINE_BLOCK = 8192


def operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """x (M, N), random."""
    x = torch.randn(case.shape["M"], case.shape["N"], generator=random, device=random.device)
    return (x.to(getattr(torch, case.dtype)),)


def call(case: Case, name: str, x: Tensor) -> Callable[[], object]:
    """A contestant by name -> the call that computes the softmax of these rows."""
    if name == "torch":
        return partial(torch.softmax, x, dim=-1)
    return partial(ml.kernels.softmax, x, block=ONLINE_BLOCK if name == "triton online" else None)


def truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    rows = sample_rows(case.shape["M"], SAMPLED_ROWS, random)
    return [Sample(lambda out: out[rows], torch.softmax(operands[0][rows].double(), -1))]


def price(case: Case, element_size: int) -> tuple[None, int]:
    """Each element read once and written once, the least that any form does."""
    return None, 2 * case.shape["M"] * case.shape["N"] * element_size
