"""Four rows a program."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()


@triton.jit
def kernel(x_ptr, out_ptr, R, N, stride_x, stride_o, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    offs = tl.arange(0, BLOCK)
    mask = (rows < R)[:, None] & (offs < N)[None, :]
    x = tl.load(x_ptr + rows[:, None] * stride_x + offs[None, :], mask=mask, other=-float("inf"))
    m = tl.max(x, 1)
    p = tl.exp(x - tl.where(m == -float("inf"), 0.0, m)[:, None])
    l = tl.sum(p, 1)
    out = p / tl.where(l == 0.0, 1.0, l)[:, None]
    tl.store(out_ptr + rows[:, None] * stride_o + offs[None, :], out, mask=mask)


def answer(x, out):
    R, N = x.shape
    block = triton.next_power_of_2(N)
    kernel[(triton.cdiv(R, 4),)](x, out, R, N, x.stride(0), out.stride(0), ROWS=4, BLOCK=block)
    return out
