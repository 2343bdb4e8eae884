"""Forgets that a row which fits stays on chip."""

LAYER = "contract"


def answer(rows, width, chip_bytes, element_bytes=4):
    return 4 * rows * width * element_bytes
