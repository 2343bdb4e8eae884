"""Tiles of 64 along the row, whatever its width."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()


@triton.jit
def kernel(x_ptr, out_ptr, N, stride_xr, stride_xn, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, N, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * stride_xr + offs * stride_xn, mask=offs < N, other=0.0).to(tl.float32)
    tl.store(out_ptr + row, tl.sum(total, 0))


def answer(x, out):
    kernel[(x.shape[0],)](x, out, x.shape[1], *x.stride(), BLOCK=64)
    return out
