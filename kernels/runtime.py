"""Where do kernels run here, and how is one launched: compiled on a GPU, interpreted on a CPU, or not at all.

Triton compiles for GPUs. Without one it can still interpret a kernel, one program at a time, which is slow and exact
enough to learn from and to test with. Without Triton itself (macOS, Windows) the lessons show the torch twin instead.
Kernel files say `from minillm.kernels.runtime import tl, triton` and launch with `launch`; nobody chooses a mode by hand.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from minillm.errors import InvalidValue, Unsupported, rule_numbers_remedy

# The interpreter takes 2 to 5 ms for a step of a loop over tiles: this many are about a minute.
MAX_TILE_STEPS = 16_384


@dataclass(frozen=True)
class Mode:
    """How kernels run here: `name` is "gpu", "interpreter" or "absent", and `why` says what decided it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True)
class Launch:
    """One launch as a wrapper asked for it: the kernel, its grid, its arguments in order, and what is fixed at compile time."""

    kernel: Any
    grid: tuple[int, ...]
    args: tuple[Any, ...]
    constants: dict[str, Any]
    num_warps: int
    num_stages: int


@dataclass
class Rehearsal:
    """A target to pretend to be, and the launches that were asked for meanwhile."""

    target: str
    launches: list[Launch] = field(default_factory=list)


_rehearsal: ContextVar[Rehearsal | None] = ContextVar("rehearsal", default=None)
_patience: ContextVar[int] = ContextVar("patience", default=MAX_TILE_STEPS)


def mode() -> Mode:
    """Look at this machine, without importing Triton, and never raise."""
    if not _triton_is_installed():
        reason = "Triton is not installed" if sys.platform == "linux" else f"Triton has no build for {sys.platform}"
        return Mode("absent", f"{reason}; lessons show the torch twin of each kernel")
    gpu = _gpu_name()
    if gpu is None:
        return Mode("interpreter", "torch finds no GPU; kernels run on the CPU, one program at a time")
    if os.environ.get("TRITON_INTERPRET", "").lower() in {"1", "true", "on", "yes"}:
        return Mode("interpreter", "TRITON_INTERPRET is set; kernels run on the CPU, one program at a time")
    return Mode("gpu", f"kernels are compiled for {gpu}")


def architecture() -> str:
    """What kernels are configured for: "sm_90", "gfx942" …, "interpreter", or the target that is being rehearsed."""
    rehearsal = _rehearsal.get()
    if rehearsal is not None:
        return rehearsal.target
    return _gpu_architecture() if mode().name == "gpu" else "interpreter"


@contextmanager
def rehearse(target: str) -> Iterator[list[Launch]]:
    """A region whose launches are written down for `target` instead of run: how a kernel is compiled for a GPU nobody has.

    Tensors may lie anywhere, "meta" included, and outputs stay unwritten. Yields the list of launches.
    """
    rehearsal = Rehearsal(target)
    token = _rehearsal.set(rehearsal)
    try:
        yield rehearsal.launches
    finally:
        _rehearsal.reset(token)


@contextmanager
def allow_tile_steps(steps: int) -> Iterator[None]:
    """A region in which one interpreted call may take up to `steps` steps over tiles, for who has the patience."""
    token = _patience.set(steps)
    try:
        yield
    finally:
        _patience.reset(token)


def launch(
    kernel: Any,
    grid: tuple[int, ...],
    *args: Any,
    tile_steps: Callable[[], int],
    smaller: Callable[[int], str],
    num_warps: int = 4,
    num_stages: int = 1,
    instead: str = "backend='tiled' or 'sdpa'",
    **constants: Any,
) -> None:
    """Run `kernel` over `grid` in whatever way this machine can; `constants` are its constexpr arguments.

    `tile_steps()` is how many loop steps all programs take together, which is what interpreting costs; `smaller(limit)`
    words a shape that stays under a limit, for the refusal. Both are asked only where the kernel is interpreted.
    `instead` names what can do the same without a kernel. Raises Unsupported where Triton is absent or the tensors are
    not on the GPU, InvalidValue when interpreting would take too long. An empty grid is no launch.
    """
    rehearsal = _rehearsal.get()
    if rehearsal is not None:
        rehearsal.launches.append(Launch(kernel, grid, args, constants, num_warps, num_stages))
        return
    if 0 in grid:
        return
    here = mode()
    if here.name == "absent":
        raise Unsupported(f"kernels cannot run here: {here.why}; use {instead}.")
    if here.name == "interpreter":
        _refuse_endless(tile_steps(), smaller, instead)
        _refuse_meta(args)
        kernel[grid](*args, **constants)
        return
    device = _require_gpu_tensors(args, instead)
    from minillm.measure.counters import active_modes

    if active_modes():
        from minillm.kernels.counting import count_elsewhere

        _refuse_endless(tile_steps(), smaller, instead)
        count_elsewhere(Launch(kernel, grid, args, constants, num_warps, num_stages))
    import torch

    with torch.cuda.device(device):
        kernel[grid](*args, **constants, num_warps=num_warps, num_stages=num_stages)


def _refuse_endless(tile_steps: int, smaller: Callable[[int], str], instead: str) -> None:
    limit = _patience.get()
    if tile_steps <= limit:
        return
    rule = f"interpreting a kernel is kept to {limit:,} steps over tiles a call, at 2 to 5 ms each"
    remedy = f"use {smaller(limit)}, or {instead}, or a GPU"
    raise InvalidValue(rule_numbers_remedy(rule, f"{tile_steps:,}", remedy))


def _refuse_meta(args: tuple[Any, ...]) -> None:
    if any(hasattr(a, "data_ptr") and a.device.type == "meta" for a in args):
        rule, remedy = (
            "a kernel needs numbers to work on",
            "make it on the CPU, or compile the call with kernels.inspect",
        )
        raise InvalidValue(rule_numbers_remedy(rule, 'a tensor on "meta"', remedy))


def _require_gpu_tensors(args: tuple[Any, ...], instead: str) -> Any:
    """The one GPU that all tensors lie on."""
    places = {a.device for a in args if hasattr(a, "data_ptr")}
    if len(places) != 1 or next(iter(places)).type != "cuda":
        rule = "kernels are compiled for the GPU here, and take tensors that all lie on one"
        remedy = f"move them with .cuda(), or use {instead} on the CPU"
        raise InvalidValue(rule_numbers_remedy(rule, f"tensors on {', '.join(sorted(map(str, places)))}", remedy))
    return places.pop()


def _triton_is_installed() -> bool:
    try:
        return importlib.util.find_spec("triton") is not None
    except (ImportError, ValueError):  # a half-imported or blanked-out module has no spec to find
        return False


@cache
def _gpu_name() -> str | None:
    try:
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    except Exception:  # a broken driver must not stop the lessons: it is the same as no GPU
        return None


@cache
def _gpu_architecture() -> str:
    import torch

    if torch.version.hip:
        return torch.cuda.get_device_properties(0).gcnArchName.split(":")[0]
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}"


class _Absent:
    """What kernel files hold in place of Triton where it is absent: they can be read and imported, and nothing runs."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def jit(self, function: Any = None, **_: Any) -> Any:
        return function if function is not None else self.jit


def _import_triton() -> tuple[Any, Any]:
    """Triton and its language, ready for this machine's mode. The interpreter's switch must be set before the import."""
    here = "compiler" if os.environ.get("MINILLM_COMPILE_ONLY") else mode().name
    if here == "absent":
        return _Absent(), _Absent()
    imported_to_compile = "triton.language" in sys.modules and not os.environ.get("TRITON_INTERPRET")
    if here == "interpreter":
        os.environ["TRITON_INTERPRET"] = "1"
    import triton
    import triton.language as tl

    if here == "interpreter":
        from minillm.kernels.interpreter import adopt_language, mend

        if imported_to_compile:
            adopt_language()
        mend()
    return triton, tl


def __getattr__(name: str) -> Any:
    if name not in ("triton", "tl"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["triton"], globals()["tl"] = _import_triton()
    return globals()[name]
