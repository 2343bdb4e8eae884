"""In a ring, a chunk behind rows of different lengths sees slots that a short row has not filled."""

from unittest.mock import patch

from minillm.cache import ring_slots

CAUGHT_BY = ("ragged_rows",)


def broken():
    return patch.object(ring_slots, "_chunk_seen", lambda before, count, window: None)
