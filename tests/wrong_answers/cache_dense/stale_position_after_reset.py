"""Reset forgets the lengths, but new tokens are rotated to where the last text ended."""

from unittest.mock import patch

from minillm.cache import ContiguousCache

CAUGHT_BY = ("reuse",)
real_reset, real_positions = ContiguousCache.reset, ContiguousCache.positions


def reset(self):
    self.ended_at = int(self.lengths.max())
    real_reset(self)


def positions(self, token_ids):
    start, stop = real_positions(self, token_ids)
    # A turn of all keys and queries alike would not show: only the first pass is turned.
    offset = getattr(self, "ended_at", 0) if start == 0 else 0
    return start + offset, stop + offset


def broken():
    return patch.multiple(ContiguousCache, reset=reset, positions=positions)
