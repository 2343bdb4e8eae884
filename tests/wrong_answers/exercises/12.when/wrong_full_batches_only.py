"""Waits for a full batch, whatever the clock says."""

LAYER = "values"


def answer(waited, most, preferred, delay):
    return most if len(waited) >= most else 0
