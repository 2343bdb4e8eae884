"""Every query head fetches for itself, packed or not."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * B * S * H * D * element_bytes
