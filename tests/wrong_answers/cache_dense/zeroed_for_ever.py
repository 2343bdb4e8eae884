"""Ends that were zeroed once are believed to be zero after a text was read into them and forgotten."""

from unittest.mock import patch

from minillm.cache import ContiguousCache, contiguous

CAUGHT_BY = ("leftovers",)


def truncate(self, length):
    self.lengths.copy_(contiguous.shorter_lengths(length, self.lengths))


def broken():
    return patch.object(ContiguousCache, "truncate", truncate)
