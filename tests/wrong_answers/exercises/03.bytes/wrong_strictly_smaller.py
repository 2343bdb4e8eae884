"""Refuses a row that fills the chip exactly."""

LAYER = "values"


def answer(rows, width, chip_bytes, element_bytes=4):
    reads = 1 if width * element_bytes < chip_bytes else 3
    return (reads + 1) * rows * width * element_bytes
