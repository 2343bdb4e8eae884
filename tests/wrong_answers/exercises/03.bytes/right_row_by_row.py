"""Walks over the rows and the passes."""


def answer(rows, width, chip_bytes, element_bytes=4):
    moved = 0
    for _ in range(rows):
        held = False
        for _ in ("maximum", "sum", "divide"):
            moved += 0 if held else width * element_bytes
            held = width * element_bytes <= chip_bytes
        moved += width * element_bytes
    return moved
