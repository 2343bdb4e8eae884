"""Forgets that 48 is no power of two."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()

LAYER = "values"


@triton.jit
def kernel(table_ptr, index_ptr, out_ptr, R, D, stride_table, stride_out, BLOCK_D: tl.constexpr):
    program = tl.program_id(0)
    row = tl.cast(tl.load(index_ptr + program), tl.int64)
    named = (row >= 0) & (row < R)
    offs_d = tl.arange(0, BLOCK_D)
    values = tl.load(table_ptr + row * stride_table + offs_d, mask=named, other=0.0)
    tl.store(out_ptr + tl.cast(program, tl.int64) * stride_out + offs_d, values)


def answer(table, index, out):
    R, D = table.shape
    block = triton.next_power_of_2(D)
    kernel[(len(index),)](table, index, out, R, D, table.stride(0), out.stride(0), BLOCK_D=block)
    return out
