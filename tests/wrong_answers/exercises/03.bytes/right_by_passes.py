"""Adds up the passes."""


def answer(rows, width, chip_bytes, element_bytes=4):
    row = width * element_bytes
    passes = 2 if row <= chip_bytes else 4
    return rows * row * passes
