"""Tiles overlap: right, with half of the bytes moved twice."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()

LAYER = "resources"


@triton.jit
def kernel(x_ptr, out_ptr, N, factor, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * (BLOCK // 2) + tl.arange(0, BLOCK)
    mask = offs < N
    x = tl.load(x_ptr + offs, mask=mask)
    tl.store(out_ptr + offs, x * factor, mask=mask)


def answer(x, factor, out):
    N = x.numel()
    kernel[(triton.cdiv(N, 128),)](x, out, N, factor, BLOCK=256)
    return out
