"""A kernel's point of view in plain torch: what is on chip is free, and only loads and stores reach memory.

A GPU kernel copies a tile into registers or shared memory, works on it there, and writes a tile back. Code written with
`on_chip`, `load` and `store` is counted the same way, so a loop in torch and the kernel it mirrors report equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.counters import active_modes, charge
from minillm.measure.traffic import exposed_bytes


@contextmanager
def on_chip() -> Iterator[None]:
    """A region that plays the inside of a kernel: its tensors are registers and shared memory.

    Ordinary operations in it move no bytes and hold no live bytes; only `load` and `store` do, and dots still cost FLOPs.
    What the region holds at most is reported apart, as `peak_on_chip_bytes`. A `count()` opened inside counts as usual.
    """
    modes = active_modes()
    for mode in modes:
        mode.on_chip_depth += 1
    try:
        yield
    finally:
        for mode in modes:
            mode.on_chip_depth -= 1


def load(
    source: Tensor, *, mask: Tensor | None = None, other: float = 0.0, shape: Sequence[int] | None = None
) -> Tensor:
    """source (any shape) -> its own copy on chip, as `tl.load` makes one; counts the bytes of the elements let through.

    Where `mask` (bool, broadcastable to source) is False the tile holds `other` and nothing is read. `shape` pads a tile
    that the tensor's edge cut short up to its full size with `other`, and the padding is not read either. Raises
    InvalidType for what is no tensor or no bool mask, InvalidValue for shapes that do not fit.
    """
    _require_tensor("source", source)
    _require_mask(mask, source)
    if shape is not None:
        _require_room("shape", shape, "source", source.shape)
    with on_chip():
        tile = source.clone() if mask is None else source.masked_fill(~mask, other)
        if shape is not None:
            edges = [edge for full, size in zip(shape, source.shape, strict=True) for edge in (full - size, 0)]
            tile = torch.nn.functional.pad(tile, edges[::-1], value=other)
        if active_modes():
            charge(bytes_loaded=_let_through(source, mask))
    return tile


def store(destination: Tensor, tile: Tensor, *, mask: Tensor | None = None) -> None:
    """tile -> destination (a view, no larger than the tile), as `tl.store`; counts the bytes of the elements let through.

    What sticks out of `destination` is the tile's padding and is dropped; where `mask` (bool, broadcastable to
    destination) is False nothing is written. The tile is rounded to the destination's dtype. Raises as `load` does.
    """
    _require_tensor("destination", destination)
    _require_tensor("tile", tile)
    _require_mask(mask, destination)
    _require_room("tile", tile.shape, "destination", destination.shape)
    with on_chip():
        kept = tile[tuple(slice(0, size) for size in destination.shape)].to(destination.dtype)
        destination.copy_(kept if mask is None else torch.where(mask, kept, destination))
        if active_modes():
            charge(bytes_stored=_let_through(destination, mask))


def _let_through(tensor: Tensor, mask: Tensor | None) -> int:
    if mask is None:
        return exposed_bytes(tensor)
    return int(mask.expand(tensor.shape).count_nonzero()) * tensor.element_size()


def _require_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise InvalidType(rule_numbers_remedy(f"{name} must be a tensor", type(value).__name__, "pass a view of one"))


def _require_mask(mask: Tensor | None, tensor: Tensor) -> None:
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = getattr(mask, "dtype", type(mask).__name__)
        raise InvalidType(rule_numbers_remedy("mask must be a bool tensor", str(kind), "compare: offsets < length"))
    try:
        fits = torch.broadcast_shapes(mask.shape, tensor.shape) == tensor.shape
    except RuntimeError:
        fits = False
    if not fits:
        numbers = f"{tuple(mask.shape)} for {tuple(tensor.shape)}"
        raise InvalidValue(rule_numbers_remedy("mask must broadcast to the tensor", numbers, "index it with None"))


def _require_room(name: str, full: Sequence[int], inner: str, size: Sequence[int]) -> None:
    if len(full) != len(size) or any(large < small for large, small in zip(full, size, strict=True)):
        numbers = f"{tuple(full)} and {tuple(size)}"
        rule = f"{name} must have {inner}'s rank and be nowhere smaller"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, f"slice the {inner} first"))
