"""No kernel at all."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()

LAYER = "contract"


def answer(x, factor, out):
    out.copy_(x * factor)
    return out
