"""How many bytes one torch operation moves through memory.

Every operation reads its inputs and writes its outputs; a view does neither, because it only looks at the same memory
through other strides. The few operations that touch less than their arguments expose (a gather, a row written into a
cache) have a rule of their own below, and nothing here ever reads a tensor's values except a boolean index.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

# Allocation without a write: whoever fills the memory pays for it.
_ALLOCATES_ONLY = {
    "empty",
    "empty_like",
    "empty_strided",
    "empty_permuted",
    "new_empty",
    "new_empty_strided",
    "resize_",
}
_ALLOCATES_ONLY |= {"set_"}

# In-place operations that never look at what they overwrite.
_OVERWRITES = {"copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "exponential_", "bernoulli_", "log_normal_"}
_OVERWRITES |= {"cauchy_", "geometric_", "_foreach_copy_", "_foreach_zero_"}

# `lift_fresh` is how a literal such as torch.tensor([1.0]) comes into the world: it is stored, and was nowhere before.
_LITERAL = "lift_fresh"

# Questions answered with a Python value: these read memory, every other operation without a tensor result is metadata.
_ASKS_FOR_VALUES = {"_local_scalar_dense", "equal"}

# The operand from which only the addressed elements are fetched, as many as the result has.
_GATHERS = {"embedding": "weight", "index_select": "self", "index": "self", "_unsafe_index": "self"}
_GATHERS |= {"gather": "self", "take": "self"}

# In place, and only the addressed elements of `self` are written; the second set adds to what is there, so it reads too.
_SCATTERS = {"index_put_", "_index_put_impl_", "index_copy_", "index_fill_", "scatter_", "index_add_", "scatter_add_"}
_SCATTERS |= {"scatter_reduce_"}
_ACCUMULATES = {"index_add_", "scatter_add_", "scatter_reduce_"}


@dataclass(frozen=True)
class Traffic:
    """Bytes one operation loaded and stored, and the tensors whose memory it allocated."""

    loaded: int = 0
    stored: int = 0
    fresh: list[Tensor] = field(default_factory=list)


def exposed_bytes(tensor: Tensor) -> int:
    """Bytes of memory behind a tensor of any shape: an expanded (stride 0) dimension counts once; 0 if not strided."""
    return _region(tensor)[1] if tensor.layout == torch.strided else 0


def traffic_of(op: OpOverload, args: tuple, kwargs: dict, result: object) -> Traffic:
    """Bytes `op(*args, **kwargs) -> result` moved: distinct inputs read once each, outputs written, views free.

    Overlapping but different regions of one storage count separately. Scratch memory inside a library kernel is not seen.
    """
    name = op.overloadpacket.__name__
    given = _bind(op, args, kwargs)
    held = {tensor.untyped_storage()._cdata for tensor in _tensors(given.values())}
    fresh = [t for t in _tensors([result]) if t.untyped_storage()._cdata not in held or name == _LITERAL]
    if name in _ALLOCATES_ONLY or torch.Tag.inplace_view in op.tags:
        return Traffic(fresh=fresh)
    mutated = list(_tensors(given[key] for key in _mutated(op) if key in given))
    if not (fresh or mutated or name in _ASKS_FOR_VALUES):
        return Traffic()
    if name in _SCATTERS:
        return _scatter(name, given)
    loaded = _bytes(_tensors(given[key] for key in given if key not in _unread(op))) + _packed_bytes(given.values())
    if name in _GATHERS and fresh:
        loaded += fresh[0].numel() * fresh[0].element_size()
    return Traffic(loaded, _bytes([*fresh, *mutated]), fresh)


def _scatter(name: str, given: dict[str, Any]) -> Traffic:
    target: Tensor = given["self"]
    written = _addressed(name, given, target) * target.element_size()
    others = _bytes(_tensors(value for key, value in given.items() if key != "self"))
    accumulates = name in _ACCUMULATES or bool(given.get("accumulate")) or given.get("reduce") is not None
    return Traffic(others + written * accumulates, written)


def _addressed(name: str, given: dict[str, Any], target: Tensor) -> int:
    """Elements of `target` that an indexed write touches."""
    if name in {"index_put_", "_index_put_impl_"}:
        return _selected(target.shape, given["indices"])
    if name in {"index_copy_", "index_add_"}:
        return given["source"].numel()
    index: Tensor = given["index"]
    if name == "index_fill_":
        return index.numel() * target.numel() // max(1, target.size(given["dim"]))
    return index.numel()


def _selected(shape: torch.Size, indices: Iterable[Tensor | None]) -> int:
    """Elements that advanced indexing `x[indices]` picks from an x of this shape; a boolean mask spans its own rank."""
    kept, chosen, axis = 1, [], 0
    for index in indices:
        if index is None:
            kept, axis = kept * shape[axis], axis + 1
        elif index.dtype in (torch.bool, torch.uint8):
            chosen.append(torch.Size([int(index.count_nonzero())]))
            axis += index.dim()
        else:
            chosen.append(index.shape)
            axis += 1
    return kept * math.prod(shape[axis:]) * math.prod(torch.broadcast_shapes(*chosen))


def _bind(op: OpOverload, args: tuple, kwargs: dict) -> dict[str, Any]:
    return dict(zip(_names(op), args, strict=False)) | kwargs


@functools.cache
def _names(op: OpOverload) -> tuple[str, ...]:
    return tuple(argument.name for argument in op._schema.arguments)


@functools.cache
def _mutated(op: OpOverload) -> tuple[str, ...]:
    return tuple(a.name for a in op._schema.arguments if a.alias_info is not None and a.alias_info.is_write)


@functools.cache
def _unread(op: OpOverload) -> frozenset[str]:
    """Arguments whose elements this operation never reads in full."""
    name = op.overloadpacket.__name__
    unread = {a.name for a in op._schema.arguments if a.is_out}
    if name in _OVERWRITES or name == _LITERAL or name.endswith("_like") or name.startswith("new_"):
        unread.add("self")
    if name in _GATHERS:
        unread.add(_GATHERS[name])
    return frozenset(unread)


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            if value.layout == torch.strided:
                yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct memory regions behind `tensors`: x and its transpose are one region."""
    return sum(dict(_region(tensor) for tensor in tensors).values())


def _packed_bytes(values: Iterable[object]) -> int:
    """Bytes of the weights that oneDNN has packed: no strides describe them, but all of each is read."""
    tensors = (x for x in values if isinstance(x, Tensor) and not x.is_meta)
    return sum(x.numel() * x.element_size() for x in tensors if x.is_mkldnn)


def _region(tensor: Tensor) -> tuple[tuple, int]:
    """`(identity, bytes)` of the memory a tensor looks at, the same for every view of the same elements."""
    axes: list[tuple[int, int]] = []
    for stride, size in sorted((st, n) for st, n in zip(tensor.stride(), tensor.shape, strict=True) if n != 1 and st):
        # Neighbouring axes that tile memory without a gap are one axis, whatever shape they are seen through.
        if axes and axes[-1][0] * axes[-1][1] == stride:
            axes[-1] = (axes[-1][0], axes[-1][1] * size)
        else:
            axes.append((stride, size))
    width = tensor.element_size()
    identity = (tensor.untyped_storage()._cdata, tensor.storage_offset() * width, tuple(axes), width)
    if tensor.numel() == 0:
        return identity, 0
    # Overlapping windows expose an element many times; no view covers more than its extent.
    extent = 1 + sum(stride * (size - 1) for stride, size in axes)
    return identity, min(math.prod(size for _, size in axes), extent) * width
