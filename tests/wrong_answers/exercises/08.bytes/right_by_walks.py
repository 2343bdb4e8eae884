"""Counts walks, then what a walk fetches."""


def answer(B, S, H, G, D, packed, element_bytes=2):
    walks = B * (G if packed else H)
    return walks * S * 2 * D * element_bytes
