"""Slack is for rewinding only; here one new token also sees the tokens kept for that."""

from unittest.mock import patch

from minillm.cache import ring_slots

CAUGHT_BY = ("any_chunking", "rewinding")


def broken():
    return patch.object(ring_slots, "_slots_seen", lambda lengths, read, window, size: None)
