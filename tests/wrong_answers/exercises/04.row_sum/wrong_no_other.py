"""Lanes past the end hold whatever was there: nobody said `other`."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()

LAYER = "values"


@triton.jit
def kernel(x_ptr, out_ptr, N, stride_xr, stride_xn, stride_o, BLOCK_N: tl.constexpr):
    row = tl.cast(tl.program_id(0), tl.int64)
    offs_n = tl.arange(0, BLOCK_N)
    x = tl.load(x_ptr + row * stride_xr + offs_n * stride_xn, mask=offs_n < N).to(tl.float32)
    tl.store(out_ptr + row * stride_o, tl.sum(x, 0))


def answer(x, out):
    R, N = x.shape
    kernel[(R,)](x, out, N, *x.stride(), out.stride(0), BLOCK_N=triton.next_power_of_2(N))
    return out
