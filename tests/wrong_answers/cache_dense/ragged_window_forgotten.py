"""Rows of different lengths are masked causally, and the window is left out."""

from unittest.mock import patch

from minillm.cache import ContiguousCache

CAUGHT_BY = ("ragged_rows", "own_rows")
real = ContiguousCache._bias


def broken():
    return patch.object(ContiguousCache, "_bias", lambda self, now, window: real(self, now, None))
