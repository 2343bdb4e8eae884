"""Triton's interpreter, mended and counted.

Without a GPU, Triton can still run a kernel: it executes each program in NumPy, one after the other. Six things about it
need mending before a lesson can lean on it, and one needs adding: it computes bfloat16 on the raw bits (silently wrong up
to 3.9), it gives 0 to masked lanes that nobody gave a value, its 3.9 release refuses a mask made of a tile and a single
truth value, it patches the language again at every helper call (most of its running time), it works out overflows that it
tells nobody of, its 3.6 release cannot loop to a bound known only at run time under recent NumPy, and it does not count
what it moves. `mend()` sees to all seven, once.
"""

from __future__ import annotations

import functools
import threading
from types import ModuleType
from typing import Any

import numpy as np

from minillm.kernels.bfloat16 import mend_bfloat16
from minillm.measure.chip import on_chip
from minillm.measure.counters import charge

_lock = threading.RLock()  # the interpreter keeps the running program's index in a global


def mend() -> None:
    """Patch Triton's interpreter in this process: bfloat16, counters, speed. Safe to call again, and from any thread."""
    import triton.language as tl
    from triton.runtime import interpreter

    with _lock:
        if getattr(interpreter, "_minillm_mended", False):
            return
        mend_bfloat16(interpreter, tl)
        _mend_scalar_masks(interpreter, tl)
        _poison_masked_lanes(interpreter, tl)
        _count_traffic(interpreter)
        _patch_once_a_launch(interpreter)
        _work_out_only_told_overflows(interpreter)
        _look_up_dtypes_once(interpreter, tl)
        interpreter._minillm_mended = True  # type: ignore[attr-defined]


def adopt_language() -> None:
    """Make the language's own helpers (tl.sum, tl.max, tl.zeros …) interpretable where Triton was imported to compile.

    They are decorated when `triton.language` is first imported, and something else (torch's compiler) may have done that
    before anybody asked for the interpreter.
    """
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    adopted: dict[int, Any] = {}
    places = [tl, tl.core, tl.standard, tl.random, tl.math, tl.tensor]
    for place in places:
        for name, value in list(vars(place).items()):
            if type(value) is JITFunction:
                twin = adopted.setdefault(id(value), InterpretedFunction(value.fn))
                setattr(place, name, twin)


def _mend_scalar_masks(interpreter: ModuleType, tl: ModuleType) -> None:
    """One truth value spread over a tile stays a truth value: it came out as int32, which 3.9 refuses as a mask."""
    builder = interpreter.InterpreterBuilder
    splat = builder.create_splat

    @functools.wraps(splat)
    def spread(self: Any, shape: Any, *args: Any) -> Any:
        tile = splat(self, shape, *args)
        if shape.scalar == tl.int1:
            tile.data = tile.data.astype(bool)
        return tile

    builder.create_splat = spread


def _poison_masked_lanes(interpreter: ModuleType, tl: ModuleType) -> None:
    """A lane that the mask holds back and `other` does not fill is undefined. For floats that is shown as NaN, not as 0.

    Whole numbers stay 0: they are mostly addresses, and a wild one would end the process instead of teaching anything. So
    do floats of 8 bits, whose NaN the interpreter takes for a number.
    """
    builder, handle = interpreter.InterpreterBuilder, interpreter.TensorHandle
    load = builder.create_masked_load
    poisons = {tl.float16: np.nan, tl.float32: np.nan, tl.float64: np.nan, tl.bfloat16: 0x7FC0}

    @functools.wraps(load)
    def poisoned_load(self: Any, pointers: Any, mask: Any, other: Any, *rest: Any, **options: Any) -> Any:
        kind = pointers.get_element_ty()
        if other is None and kind in poisons:
            lanes = np.full(pointers.data.shape, poisons[kind], interpreter._get_np_dtype(kind))
            other = handle(lanes, kind)
        return load(self, pointers, mask, other, *rest, **options)

    builder.create_masked_load = poisoned_load


def _count_traffic(interpreter: ModuleType) -> None:
    """Charge every load and store with the elements its mask lets through, and every dot with its FLOPs as issued.

    Unmasked and descriptor forms end up here too.
    """
    builder = interpreter.InterpreterBuilder
    load, store, dot = builder.create_masked_load, builder.create_masked_store, builder.create_dot

    def width(pointers: Any) -> int:
        return max(1, pointers.get_element_ty().primitive_bitwidth // 8)

    def let_through(pointers: Any, mask: Any) -> int:
        return int(np.count_nonzero(np.broadcast_to(mask.data, pointers.data.shape)))

    def counted_load(self: Any, pointers: Any, mask: Any, *rest: Any, **options: Any) -> Any:
        charge(bytes_loaded=let_through(pointers, mask) * width(pointers))
        return load(self, pointers, mask, *rest, **options)

    def counted_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any, **options: Any) -> Any:
        charge(bytes_stored=let_through(pointers, mask) * width(pointers))
        return store(self, pointers, value, mask, *rest, **options)

    def counted_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        *batch, m, k = a.data.shape
        charge(flops=2 * int(np.prod(batch, dtype=np.int64)) * m * k * b.data.shape[-1])
        return dot(self, a, b, *rest)

    builder.create_dot = counted_dot
    builder.create_masked_load = counted_load
    builder.create_masked_store = counted_store


def _patch_once_a_launch(interpreter: ModuleType) -> None:
    """Run one launch at a time, as one kernel, with the language patched at its start and not again at every helper call.

    What the interpreter copies around a launch is no traffic of the kernel's, so it counts as on chip.
    """
    patch, execute = interpreter._patch_lang, interpreter.GridExecutor.__call__
    launches: list[_Patches] = []

    class Kept:
        """Stands for a scope that the launch will restore."""

        def restore(self) -> None: ...

    def patch_once(function: Any) -> Any:
        if not launches:
            return patch(function)
        modules = {id(v) for v in function.__globals__.values() if v is interpreter.tl or v is interpreter.tl.core}
        if not modules or not modules <= launches[-1].modules:
            scope = patch(function)
            # Before 3.7 this asked NumPy for the scalar of a one-element array, which NumPy 2.4 refuses.
            scope.set_attr(interpreter.tl.tensor, "__index__", _first_element)
            launches[-1].modules |= modules
            launches[-1].scopes.append(scope)
        return Kept()

    @functools.wraps(execute)
    def launch(self: Any, *args: Any, **kwargs: Any) -> None:
        with _lock, on_chip():
            launches.append(_Patches())
            try:
                execute(self, *args, **kwargs)
            finally:
                launches.pop().restore()

    interpreter._patch_lang = patch_once  # type: ignore[attr-defined]
    interpreter.GridExecutor.__call__ = launch


class _Patches:
    """What one launch has patched: modules by identity, and the scopes that undo it."""

    def __init__(self) -> None:
        self.modules: set[int] = set()
        self.scopes: list[Any] = []

    def restore(self) -> None:
        while self.scopes:
            self.scopes.pop().restore()


def _work_out_only_told_overflows(interpreter: ModuleType) -> None:
    """For sums, differences and products of whole numbers Triton computes a second one in 64 bits and compares, at each.

    It tells the outcome only to who interprets with debug=True, and so it is worked out only then.
    """
    semantic = interpreter.interpreter_semantic
    check = semantic.binary_op_sanitize_overflow_impl

    def check_if_told(*operands: Any) -> None:
        if semantic.builder.options.debug:
            check(*operands)

    semantic.binary_op_sanitize_overflow_impl = check_if_told


def _look_up_dtypes_once(interpreter: ModuleType, tl: ModuleType) -> None:
    """NumPy's word for a dtype is kept: Triton writes the whole dictionary anew to look one up, at every operation.

    Types of pointers cannot be keys, and need no dictionary.
    """
    look_up = interpreter._get_np_dtype
    known = functools.cache(look_up)

    def np_dtype(kind: Any) -> Any:
        element = kind.element_ty if isinstance(kind, tl.block_type) else kind
        return look_up(element) if isinstance(element, tl.pointer_type) else known(element)

    interpreter._get_np_dtype = np_dtype  # type: ignore[attr-defined]


def _first_element(tensor: Any) -> int:
    return int(tensor.handle.data.reshape(-1)[0])
