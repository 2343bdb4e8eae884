"""Packs when it is not asked to."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * B * S * (H if packed else G) * D * element_bytes
