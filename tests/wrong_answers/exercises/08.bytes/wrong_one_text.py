"""Forgets that every text has keys of its own."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * S * (G if packed else H) * D * element_bytes
