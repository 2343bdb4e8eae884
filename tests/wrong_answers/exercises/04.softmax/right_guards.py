"""Both guards, and one read."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()


@triton.jit
def kernel(x_ptr, out_ptr, N, stride_x, stride_o, BLOCK_N: tl.constexpr):
    row = tl.cast(tl.program_id(0), tl.int64)
    offs_n = tl.arange(0, BLOCK_N)
    mask = offs_n < N
    x = tl.load(x_ptr + row * stride_x + offs_n, mask=mask, other=-float("inf"))
    m = tl.max(x, 0)
    m = tl.where(m == -float("inf"), 0.0, m)
    p = tl.exp(x - m)
    l = tl.sum(p, 0)
    l = tl.where(l == 0.0, 1.0, l)
    tl.store(out_ptr + row * stride_o + offs_n, p / l, mask=mask)


def answer(x, out):
    R, N = x.shape
    kernel[(R,)](x, out, N, x.stride(0), out.stride(0), BLOCK_N=triton.next_power_of_2(N))
    return out
