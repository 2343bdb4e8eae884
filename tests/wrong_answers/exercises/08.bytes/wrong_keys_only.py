"""Forgets the values."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return B * S * (G if packed else H) * D * element_bytes
