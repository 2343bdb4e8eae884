"""Sums in the dtype of its input."""

LAYER = "contract"


def answer(out, dout):
    return (out * dout).sum(-1)
