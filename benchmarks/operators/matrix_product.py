"""A product of two matrices: the three rungs of our ladder beside `torch.matmul`, which is the vendor's library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from plan import Case
from torch import Tensor
from truth import SAMPLED_ROWS, Sample, sample_rows

import minillm as ml


def operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """a (M, K), b (K, N), random: multiplying zeros draws less power, and runs faster than anything real."""
    M, N, K = (case.shape[letter] for letter in "MNK")
    made = [torch.randn(shape, generator=random, device=random.device) for shape in ((M, K), (K, N))]
    return tuple(x.to(getattr(torch, case.dtype)) for x in made)


def call(case: Case, name: str, a: Tensor, b: Tensor) -> Callable[[], object]:
    """A contestant by name, ours being "triton" and its rung -> the call that multiplies these matrices."""
    if name == "torch":
        return partial(torch.matmul, a, b)
    return partial(ml.kernels.matmul, a, b, rung=name.removeprefix("triton "))


def truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    a, b = operands
    rows = sample_rows(case.shape["M"], SAMPLED_ROWS, random)
    return [Sample(lambda out: out[rows], a[rows].double() @ b.double())]


def price(case: Case, element_size: int) -> tuple[int, int]:
    """2·M·N·K FLOPs; both operands read once, the product written once."""
    M, N, K = (case.shape[letter] for letter in "MNK")
    return 2 * M * N * K, (M * K + K * N + M * N) * element_size
