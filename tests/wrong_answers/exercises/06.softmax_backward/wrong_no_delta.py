"""Forgets that raising one score lowers the other weights."""

LAYER = "values"


def answer(p, dp):
    return p * dp
