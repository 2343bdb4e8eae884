"""A few programs, each of which takes every so many tiles."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()


@triton.jit
def kernel(x_ptr, out_ptr, N, factor, BLOCK: tl.constexpr):
    for start in range(tl.program_id(0) * BLOCK, N, tl.num_programs(0) * BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + offs, mask=offs < N)
        tl.store(out_ptr + offs, x * factor, mask=offs < N)


def answer(x, factor, out):
    kernel[(4,)](x, out, x.numel(), factor, BLOCK=128)
    return out
