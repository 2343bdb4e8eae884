"""With slack in the ring, a slot's number is taken for its token's position when the window is counted."""

from unittest.mock import patch

import torch

from minillm.cache import ring_slots

CAUGHT_BY = ("any_chunking", "rewinding")


def _slots_seen(lengths, read, window, size):
    newest = lengths[:, None] % size
    seen = (torch.arange(read) <= newest) & (torch.arange(read) > newest - window)
    return seen[:, None]


def broken():
    return patch.object(ring_slots, "_slots_seen", _slots_seen)
