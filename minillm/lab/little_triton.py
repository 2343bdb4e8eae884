"""Triton for a lesson that has to run anywhere: the real one, interpreted, or a small stand-in where it is not installed.

A lesson that counts bytes and looks at memory needs kernels to run in this process, one program after the other. So Triton
is borrowed with its interpreter on, whether there is a GPU or not. The stand-in covers what the lesson's kernels use: a
program is a plain call, a pointer is a tensor's memory with an offset, and a tile is a torch tensor.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from minillm.errors import Unsupported
from minillm.measure.chip import on_chip
from minillm.measure.counters import charge


def borrow_triton() -> tuple[Any, Any]:
    """(triton, triton.language) that interpret kernels in this process; the stand-ins of both where Triton is absent.

    Raises Unsupported where kernels have been compiled in this process already: Triton decides once.
    """
    from minillm.kernels import runtime

    if runtime.mode().name == "absent":
        return LITTLE_TRITON, LITTLE_LANGUAGE
    if runtime.mode().name == "gpu":
        if "triton" in vars(runtime):
            raise Unsupported("this process compiles its kernels; restart it and borrow Triton before anything else.")
        os.environ["TRITON_INTERPRET"] = "1"
    return runtime.triton, runtime.tl


class Pointer:
    """An address, or a tile of them: elements from the start of a tensor's memory."""

    def __init__(self, memory: torch.Tensor, offsets: Any) -> None:
        self.memory, self.offsets = memory, offsets
        self.dtype = SimpleNamespace(element_ty=memory.dtype)

    def __add__(self, offsets: Any) -> Pointer:
        return Pointer(self.memory, self.offsets + offsets)

    __radd__ = __add__

    def lanes(self, mask: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Offsets and mask of one shape, and nothing outside the memory: here an address out of bounds is an error."""
        offsets, allowed = torch.broadcast_tensors(torch.as_tensor(self.offsets), torch.as_tensor(mask))
        return offsets, allowed


def _pointer(argument: Any) -> Any:
    if not isinstance(argument, torch.Tensor):
        return argument
    whole = torch.empty(0, dtype=argument.dtype).set_(argument.untyped_storage())  # type: ignore[call-overload]
    return Pointer(whole, argument.storage_offset())


class Kernel:
    """A function that is launched over a grid: once for each program id, in order."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A call from inside another kernel."""
        return self.fn(*args, **kwargs)

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*args: Any, num_warps: int = 4, num_stages: int = 1, **constants: Any) -> None:
            with on_chip():
                for place in itertools.product(*map(range, (*grid, 1, 1)[:3])):
                    _running.place, _running.grid = place, (*grid, 1, 1)[:3]
                    self.fn(*map(_pointer, args), **constants)

        return launch


_running = SimpleNamespace(place=(0, 0, 0), grid=(1, 1, 1))


def _load(pointer: Pointer, mask: Any = True, other: float = 0.0) -> torch.Tensor:
    offsets, allowed = pointer.lanes(mask)
    charge(bytes_loaded=int(allowed.sum()) * pointer.memory.element_size())
    tile = torch.full(offsets.shape, other, dtype=pointer.memory.dtype)
    tile[allowed] = pointer.memory[offsets[allowed].long()]
    return tile


def _store(pointer: Pointer, tile: Any, mask: Any = True) -> None:
    offsets, allowed = pointer.lanes(mask)
    charge(bytes_stored=int(allowed.sum()) * pointer.memory.element_size())
    values = torch.as_tensor(tile).to(pointer.memory.dtype).expand(offsets.shape)
    pointer.memory[offsets[allowed].long()] = values[allowed]


def _dot(a: torch.Tensor, b: torch.Tensor, acc: Any = 0.0, **_: Any) -> torch.Tensor:
    return acc + a.float() @ b.float()  # counted by torch's own product


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, torch.Tensor) else x


def _reduce(operation: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda x, axis=None: operation(x) if axis is None else operation(x, axis)


LITTLE_TRITON: Any = SimpleNamespace(
    jit=Kernel, cdiv=lambda n, d: -(-n // d), next_power_of_2=lambda n: 1 << max(0, n - 1).bit_length()
)
LITTLE_LANGUAGE: Any = SimpleNamespace(
    constexpr=object,
    **{name: getattr(torch, name) for name in ("float32", "float16", "bfloat16", "int32", "int64", "exp", "exp2")},
    where=lambda condition, x, y: torch.where(torch.as_tensor(condition), x, y),
    program_id=lambda axis: _running.place[axis],
    num_programs=lambda axis: _running.grid[axis],
    arange=torch.arange,
    zeros=lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    full=lambda shape, value, dtype: torch.full(shape, value, dtype=dtype),
    cdiv=LITTLE_TRITON.cdiv,
    maximum=lambda x, y: torch.maximum(torch.as_tensor(x), torch.as_tensor(y)),
    sum=_reduce(torch.sum),
    max=_reduce(torch.amax),
    cast=_cast,
    load=_load,
    store=_store,
    dot=_dot,
)
