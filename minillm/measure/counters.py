"""The CPU's honest instrument: bytes moved, dot-product work and live memory of any torch code, exact to the byte.

Wrap code in `with count() as c:` and every torch operation inside is read as the GPU would feel it: what it loads, what
it stores, what it multiplies. No clock is involved, so the numbers are the same on every machine and every run.
"""

from __future__ import annotations

import collections
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from minillm.measure.dots import dot_flops
from minillm.measure.traffic import traffic_of


class Allocation(NamedTuple):
    """One tensor whose memory an operation allocated."""

    op: str
    shape: tuple[int, ...]
    elements: int
    bytes: int


class LiveBytes:
    """Bytes of the storages now alive among those it was shown, and the most there ever were."""

    def __init__(self) -> None:
        self.now = 0
        self.peak = 0
        self._watched: dict[int, tuple[weakref.ref, int]] = {}

    def hold(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._watched:
            self.release(key)
        self._watched[key] = (weakref.ref(storage, lambda _: self.release(key)), size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def release(self, key: int) -> None:
        self.now -= self._watched.pop(key, (None, 0))[1]

    def close(self) -> None:
        """Stop watching; what outlives the count is no longer our business."""
        self._watched.clear()


@dataclass(eq=False)
class Counters:
    """What the code inside `count()` did, in bytes and FLOPs; read it during or after the `with` block.

    `bytes_loaded`, `bytes_stored`: traffic. `flops`: 2mnk of each dot, as issued. `peak_bytes`: the most memory alive at
    once among tensors allocated inside the block; inputs that existed before are not included. `peak_on_chip_bytes`: the
    same for tensors born inside `on_chip()`. `allocations` counts every distinct allocation (op, shape, elements, bytes).
    """

    bytes_loaded: int = 0
    bytes_stored: int = 0
    flops: int = 0
    allocations: collections.Counter[Allocation] = field(default_factory=collections.Counter)
    _live: LiveBytes = field(default_factory=LiveBytes)
    _chip: LiveBytes = field(default_factory=LiveBytes)

    @property
    def bytes_moved(self) -> int:
        return self.bytes_loaded + self.bytes_stored

    @property
    def peak_bytes(self) -> int:
        return self._live.peak

    @property
    def peak_on_chip_bytes(self) -> int:
        return self._chip.peak

    @property
    def largest_tensor(self) -> Allocation | None:
        """The largest single allocation, the first of its size; None if nothing was allocated."""
        return max(self.allocations, key=lambda made: made.bytes, default=None)

    def allocated(self, *, elements: int = 0, ends_with: Sequence[int] = ()) -> list[Allocation]:
        """Allocations of at least `elements` elements whose shape ends with `ends_with`, in order of appearance.

        `c.allocated(elements=L * S)` is how a check asks whether the scores were ever whole in memory: a reshape can
        hide a shape, but not a size.
        """
        tail = tuple(ends_with)
        return [a for a in self.allocations if a.elements >= elements and a.shape[len(a.shape) - len(tail) :] == tail]

    def __repr__(self) -> str:
        return (
            f"Counters(bytes_loaded={self.bytes_loaded}, bytes_stored={self.bytes_stored}, "
            f"flops={self.flops}, peak_bytes={self.peak_bytes})"
        )

    def __str__(self) -> str:
        rows = [("bytes loaded", self.bytes_loaded), ("bytes stored", self.bytes_stored)]
        rows += [("FLOPs in dots", self.flops), ("peak live bytes", self.peak_bytes)]
        if self.peak_on_chip_bytes:
            rows.append(("peak on-chip bytes", self.peak_on_chip_bytes))
        width = max(len(f"{number:,}") for _, number in rows)
        return "\n".join(f"{label:<19}{number:>{width},}" for label, number in rows)


class CountingMode(TorchDispatchMode):
    """Shows each operation of this thread to one `Counters`, then lets it run unchanged."""

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self.counters = counters
        self.on_chip_depth = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's default, imports the whole compiler at the first operation: seconds, and Triton with it.
        return False

    def __torch_dispatch__(self, func: OpOverload, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _is_composite(func):
            # Under inference_mode torch hands over matmul or reshape whole; take them apart to see their copies.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        self._record(func, args, kwargs, result)
        return result

    def _record(self, func: OpOverload, args: tuple, kwargs: dict, result: object) -> None:
        counters = self.counters
        counters.flops += dot_flops(func, args, kwargs, result)
        traffic = traffic_of(func, args, kwargs, result)
        if self.on_chip_depth:
            for tensor in traffic.fresh:
                counters._chip.hold(tensor.untyped_storage())
            return
        counters.bytes_loaded += traffic.loaded
        counters.bytes_stored += traffic.stored
        for tensor in traffic.fresh:
            storage = tensor.untyped_storage()
            counters._live.hold(storage)
            made = Allocation(str(func.overloadpacket), tuple(tensor.shape), tensor.numel(), storage.nbytes())
            counters.allocations[made] += 1


def _is_composite(func: OpOverload) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


@contextmanager
def count() -> Iterator[Counters]:
    """`with count() as c:` -> Counters of every torch operation inside, in bytes and FLOPs; costs nothing outside.

    Exact and the same every run: no clock, no sampling. Counts each operation's distinct inputs as loaded, its outputs as
    stored, views as free, in-place operations as both. Backward passes count when they run inside. Blocks nest, and an
    outer block includes its inner ones. It sees the thread that opened it (and the autograd workers that thread waits
    for), on any device, `meta` included. What happens inside one library call (its scratch memory, the dots of a fused
    layer that torch's FLOP registry does not know), in NumPy or in plain Python stays invisible.
    """
    counters = Counters()
    try:
        with CountingMode(counters):
            yield counters
    finally:
        counters._live.close()
        counters._chip.close()


def active_modes() -> list[CountingMode]:
    """The counts open around the caller, outermost first."""
    return [mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, CountingMode)]


def charge(*, bytes_loaded: int = 0, bytes_stored: int = 0, flops: int = 0) -> None:
    """Add traffic or work, in bytes and FLOPs, to every open `count()`: for code that torch does not see."""
    for mode in active_modes():
        mode.counters.bytes_loaded += bytes_loaded
        mode.counters.bytes_stored += bytes_stored
        mode.counters.flops += flops
