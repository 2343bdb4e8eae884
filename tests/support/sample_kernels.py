"""Small kernels that tests compile and interpret: a product with everything a report counts, and ways to go wrong."""

import os
import time

from minillm.kernels.runtime import tl, triton

BASE = tl.constexpr(2.0)


@triton.jit
def power(x):
    return tl.exp2(x * BASE)


@triton.jit
def product(a_ptr, b_ptr, c_ptr, stride, n, BLOCK: tl.constexpr, PRECISION: tl.constexpr = "ieee"):
    """c (BLOCK, BLOCK) = power(a (BLOCK, n) @ b (n, BLOCK)), less each row's maximum; all with one row stride."""
    offs = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, n, BLOCK):
        a = tl.load(a_ptr + offs[:, None] * stride + (start + offs)[None, :])
        b = tl.load(b_ptr + (start + offs)[:, None] * stride + offs[None, :])
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
    acc = power(acc - tl.max(acc, 1)[:, None])
    tl.store(c_ptr + offs[:, None] * stride + offs[None, :], acc.to(c_ptr.dtype.element_ty))


@triton.jit
def masked_copy(x_ptr, y_ptr, n, extra_ptr, BLOCK: tl.constexpr):
    """y (n,) = x (n,), plus the one number at extra_ptr unless it is None."""
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    x = tl.load(x_ptr + offs, mask=mask, other=0.0)
    if extra_ptr is not None:
        x += tl.load(extra_ptr)
    tl.store(y_ptr + offs, x, mask=mask)


@triton.jit
def ragged_copy(x_ptr, y_ptr, n_ptr, BLOCK: tl.constexpr):
    """y (n,) = x (n,), where n is only known once it is loaded."""
    offs = tl.arange(0, BLOCK)
    mask = offs < tl.load(n_ptr)
    tl.store(y_ptr + offs, tl.load(x_ptr + offs, mask=mask), mask=mask)


@triton.jit
def nonsense(x_ptr, BLOCK: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, BLOCK), undefined_name)  # noqa: F821


def ends_the_compiler(kernel):
    """A decorator that is harmless here and kills the process that compiles."""
    if os.environ.get("MINILLM_COMPILE_ONLY"):
        os.kill(os.getpid(), 9)
    return kernel


def never_ends_in_the_compiler(kernel):
    if os.environ.get("MINILLM_COMPILE_ONLY"):
        time.sleep(1000)
    return kernel


@ends_the_compiler
@triton.jit
def fatal(x_ptr):
    tl.store(x_ptr, 0.0)


@never_ends_in_the_compiler
@triton.jit
def endless(x_ptr):
    tl.store(x_ptr, 0.0)
