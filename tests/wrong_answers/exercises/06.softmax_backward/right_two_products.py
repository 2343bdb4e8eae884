"""Writes the two terms apart."""


def answer(p, dp):
    pdp = p * dp
    return pdp - p * pdp.sum(-1, keepdim=True)
