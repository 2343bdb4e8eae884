"""Takes the size of the cache for what is fetched."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * B * S * G * D * element_bytes
