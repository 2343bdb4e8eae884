"""Counts the online form: maximum and sum in one pass."""

LAYER = "values"


def answer(rows, width, chip_bytes, element_bytes=4):
    reads = 1 if width * element_bytes <= chip_bytes else 2
    return (reads + 1) * rows * width * element_bytes
