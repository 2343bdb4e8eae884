"""Compares how many numbers there are with how many bytes fit."""

LAYER = "values"


def answer(rows, width, chip_bytes, element_bytes=4):
    reads = 1 if width <= chip_bytes else 3
    return (reads + 1) * rows * width * element_bytes
