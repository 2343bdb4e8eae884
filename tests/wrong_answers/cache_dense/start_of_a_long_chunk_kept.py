"""Of a chunk longer than the ring the first tokens stay, and the newest are lost."""

from unittest.mock import patch

from minillm.cache import RingCache

CAUGHT_BY = ("any_chunking", "every_step")


def _keep(self, index, now, k, v):
    count = now.taken.shape[1]
    self.k[index][now.rows, now.taken] = k[:, :count]
    self.v[index][now.rows, now.taken] = v[:, :count]


def broken():
    return patch.object(RingCache, "_keep", _keep)
