"""Truncating to one length a row takes the shortest for all."""

from unittest.mock import patch

from minillm.cache import contiguous

CAUGHT_BY = ("ragged_rows",)
real = contiguous.shorter_lengths


def shorter_lengths(wanted, lengths):
    each = real(wanted, lengths)
    return each.min().expand_as(each)


def broken():
    return patch.object(contiguous, "shorter_lengths", shorter_lengths)
