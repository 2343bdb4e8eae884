"""Multiplies only dp by p."""

LAYER = "values"


def answer(p, dp):
    return p * dp - (p * dp).sum(-1, keepdim=True)
