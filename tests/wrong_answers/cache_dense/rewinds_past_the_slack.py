"""A ring forgets any number of tokens, also those whose window has been overwritten."""

from unittest.mock import patch

from minillm.cache import RingCache, ring

CAUGHT_BY = ("refusals",)


def truncate(self, length):
    wanted = ring.shorter_lengths(length, self.lengths)
    self._clear(wanted)
    self.lengths.copy_(wanted) if self.full is None else self.full.truncate(wanted)
    self._oldest.clamp_(max=wanted)


def broken():
    return patch.object(RingCache, "truncate", truncate)
