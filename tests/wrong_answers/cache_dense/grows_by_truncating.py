"""A length beyond what is filled is taken at its word."""

from unittest.mock import patch

from minillm.cache import ContiguousCache

CAUGHT_BY = ("refusals",)


def broken():
    return patch.object(ContiguousCache, "truncate", lambda self, length: self.lengths.fill_(0).add_(length))
