"""Every pass counts one token, however many it read."""

from unittest.mock import patch

from minillm.cache import ContiguousCache

CAUGHT_BY = ("any_chunking", "every_step")


def broken():
    def advance(self, count):
        self.lengths += 1

    return patch.object(ContiguousCache, "advance", advance)
