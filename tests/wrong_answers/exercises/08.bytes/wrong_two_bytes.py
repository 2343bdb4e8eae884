"""Two bytes a number, whatever is asked."""

LAYER = "values"


def answer(B, S, H, G, D, packed, element_bytes=2):
    return 2 * B * S * (G if packed else H) * D * 2
