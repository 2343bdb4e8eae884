"""Tensors with walls: a copy in the middle of a larger buffer, with the same strides, and known numbers all around it.

A kernel gets an address and trusts the arithmetic that follows. Inside walls a wrong offset or a forgotten mask stays in
memory that is ours, reads numbers that show in the result, and leaves its footprints where nothing should have been written.
"""

from __future__ import annotations

import math

import torch

from minillm.errors import InvalidType, rule_numbers_remedy

WALL = 65_536  # elements on each side: more than a wrong offset of the lessons can miss by


def walled(x: torch.Tensor, fill: float = math.nan) -> torch.Tensor:
    """x (any shape and strides) -> a copy of the same shape and strides, whose surroundings and gaps hold `fill`.

    Raises InvalidType for what is no tensor.
    """
    if not isinstance(x, torch.Tensor):
        raise InvalidType(rule_numbers_remedy("walls go around a tensor", type(x).__name__, "pass torch.tensor(...)"))
    memory = torch.full((2 * WALL + _extent(x),), fill, dtype=x.dtype)
    inside = memory.as_strided(x.shape, x.stride(), WALL)
    return inside.copy_(x)


def footprints(x: torch.Tensor, fill: float = math.nan) -> list[int]:
    """A walled tensor -> the places outside it that no longer hold `fill`, in elements from its first element."""
    memory = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())  # type: ignore[call-overload]
    kept = memory.isnan() if math.isnan(fill) else memory == fill
    kept.as_strided(x.shape, x.stride(), x.storage_offset()).fill_(True)
    return [place - x.storage_offset() for place in (~kept).nonzero().flatten().tolist()]


def neighbourhood(x: torch.Tensor, before: int = 2, after: int = 4) -> list[float]:
    """A walled tensor -> what memory holds from `before` elements before its first to `after` past its last."""
    memory = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())  # type: ignore[call-overload]
    start = x.storage_offset()
    return memory[start - before : start + _extent(x) + after].tolist()


def _extent(x: torch.Tensor) -> int:
    """Elements of memory from the first to the last of x."""
    return 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0
