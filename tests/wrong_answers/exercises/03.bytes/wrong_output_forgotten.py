"""Counts what is read and not what is written."""

LAYER = "contract"


def answer(rows, width, chip_bytes, element_bytes=4):
    reads = 1 if width * element_bytes <= chip_bytes else 3
    return reads * rows * width * element_bytes
