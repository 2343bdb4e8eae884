"""bfloat16 for Triton's interpreter, which lacks it: NumPy has no such type, so it computed on the raw bits.

A bfloat16 number is the upper half of a float32. So every operation is done in float32 and rounded once at its end, to
nearest with ties to even, which is what a GPU's own float32 units do with it.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np


def widen(bits: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns (uint16) -> the same numbers in float32: bfloat16 is float32's upper half."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def narrow(numbers: np.ndarray) -> np.ndarray:
    """float32 -> bfloat16 bit patterns (uint16), rounded to nearest, ties to even; NaN stays NaN."""
    numbers = np.ascontiguousarray(numbers, np.float32)
    bits = numbers.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(numbers), np.uint16(0x7FC0), rounded)


def mend_bfloat16(interpreter: ModuleType, tl: ModuleType) -> None:
    """Patch the interpreter's operations on tiles and its reductions, so that both take bfloat16 for the numbers they are."""
    _mend_operations(interpreter, tl)
    _mend_reductions(interpreter, tl)


def _mend_operations(interpreter: ModuleType, tl: ModuleType) -> None:
    """Arithmetic, comparisons, casts and dots: what the interpreter's builder does."""
    builder, handle = interpreter.InterpreterBuilder, interpreter.TensorHandle

    def is_bf16(x: Any) -> bool:
        return x.dtype.scalar == tl.bfloat16

    def as_float32(x: Any) -> Any:
        return handle(widen(x.data), tl.float32) if is_bf16(x) else x

    def as_bfloat16(x: Any) -> Any:
        return handle(x.data, tl.int1) if x.data.dtype == bool else handle(narrow(x.data), tl.bfloat16)

    def through_float32(original: Any) -> Any:
        """Whatever an operation takes in bfloat16 it computes in float32 and rounds once; comparisons stay booleans."""

        @functools.wraps(original)
        def run(self: Any, *args: Any) -> Any:
            tensors = [a for a in args if isinstance(a, handle)]
            if not any(map(is_bf16, tensors)):
                return original(self, *args)
            return as_bfloat16(original(self, *[as_float32(a) if isinstance(a, handle) else a for a in args]))

        return run

    def constant(self: Any, value: float) -> Any:
        return handle(narrow(np.array([value], np.float32)), tl.bfloat16)

    def select(self: Any, condition: Any, left: Any, right: Any) -> Any:
        return handle(np.where(condition.data, left.data, right.data), right.dtype.scalar)

    numpy_cast = builder.cast_impl

    def cast(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: Any, source: Any, target: Any, *rounding: Any) -> Any:
            if target.scalar == tl.bfloat16:
                if is_bf16(source):
                    return source
                if source.dtype.scalar.is_fp8():
                    source = original(self, source, tl.float32, *rounding)
                return handle(narrow(source.data.astype(np.float32)), tl.bfloat16)
            if is_bf16(source):
                source = as_float32(source)
                if target.scalar == tl.float32:
                    return source
                if target.scalar == tl.float16:  # create_fp_to_fp cuts bits off, and has no infinities
                    return numpy_cast(self, source, target)
                return original(self, source, target, *rounding)
            return original(self, source, target, *rounding)

        return run

    def dot(original: Any) -> Any:
        @functools.wraps(original)
        def run(self: Any, a: Any, b: Any, accumulator: Any, *rest: Any) -> Any:
            return original(self, as_float32(a), as_float32(b), accumulator, *rest)

        return run

    for name in ("binary_op", "unary_op", "ternary_op", "create_fma"):
        setattr(builder, name, through_float32(getattr(builder, name)))
    builder.get_bf16 = constant
    builder.create_select = select
    builder.cast_impl = cast(builder.cast_impl)
    builder.create_fp_to_fp = cast(builder.create_fp_to_fp)
    builder.create_dot = dot(builder.create_dot)


def _mend_reductions(interpreter: ModuleType, tl: ModuleType) -> None:
    """Sums, maxima and scans, which go past the builder: in float32, and rounded once."""
    interface = interpreter.ReduceScanOpInterface
    apply = interface.apply

    def recast(x: Any, convert: Any, dtype: Any) -> Any:
        data = convert(x.handle.data)
        kind = tl.block_type(dtype, list(data.shape)) if x.type.is_block() else dtype
        return tl.core.tensor(interpreter.TensorHandle(data, dtype), kind)

    @functools.wraps(apply)
    def run(self: Any, tiles: Any) -> Any:
        if not isinstance(tiles, tuple):
            return run(self, (tiles,))[0]
        narrow_ones = [isinstance(x, tl.core.tensor) and x.dtype.scalar == tl.bfloat16 for x in tiles]
        if not any(narrow_ones):
            return apply(self, tiles)
        pairs = zip(tiles, narrow_ones, strict=True)
        results = apply(self, tuple(recast(x, widen, tl.float32) if is_narrow else x for x, is_narrow in pairs))
        pairs = zip(results, narrow_ones, strict=False)  # the place of a maximum is found without its index
        return tuple(recast(x, narrow, tl.bfloat16) if is_narrow else x for x, is_narrow in pairs)

    interface.apply = run
