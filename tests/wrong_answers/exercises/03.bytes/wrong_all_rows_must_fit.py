"""Asks whether all rows fit at once."""

LAYER = "values"


def answer(rows, width, chip_bytes, element_bytes=4):
    reads = 1 if rows * width * element_bytes <= chip_bytes else 3
    return (reads + 1) * rows * width * element_bytes
