"""A chunk takes its slots first and attends afterwards, when the tokens before it are gone."""

from unittest.mock import patch

from minillm.cache import RingCache

CAUGHT_BY = ("any_chunking",)
real = RingCache._attend_chunk


def _attend_chunk(self, index, q, k, v):
    self._keep(index, self._this_pass(q.shape[1]), k, v)
    return real(self, index, q, k, v)


def broken():
    return patch.object(RingCache, "_attend_chunk", _attend_chunk)
