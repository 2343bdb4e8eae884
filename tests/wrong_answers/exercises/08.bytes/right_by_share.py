"""Divides what all heads would fetch by the group."""


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * B * S * H * D * element_bytes // (H // G if packed else 1)
