"""A stream of tiles gives each element once a pass, charges for it, and hands out nothing that leads back to the row."""

import copy

import pytest
import torch

import minillm as ml
from minillm.errors import InvalidType, InvalidValue
from minillm.lab.tile_stream import TileStream


def test_tiles_cover_the_row_and_the_last_may_be_short():
    row = torch.arange(10)
    assert [tile.tolist() for tile in TileStream(row, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(TileStream(row[:0], 4)) == []
    assert [tile.shape for tile in TileStream(torch.zeros(5, 3), 8)] == [(5, 3)]


def test_every_walk_is_charged_and_a_walk_broken_off_only_as_far_as_it_went():
    stream = TileStream(torch.zeros(100, dtype=torch.float16), 32)
    for walks in (1, 3):
        with ml.count() as counters:
            for _ in range(walks):
                list(stream)
        assert counters.bytes_loaded == walks * 200
    with ml.count() as counters:
        next(iter(stream))
    assert counters.bytes_loaded == 64


def test_tiles_are_copies_and_streams_can_be_copied():
    row = torch.zeros(6)
    next(iter(TileStream(row, 3))).fill_(1.0)
    assert row.sum() == 0
    stream = copy.deepcopy(TileStream(row, 3))
    assert repr(stream) == "TileStream(6 long, 3 a tile)" and stream.row is not row


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "4"])
def test_a_tile_holds_a_whole_number(size):
    with pytest.raises(InvalidValue, match="whole number"):
        TileStream(torch.zeros(4), size)


def test_a_stream_is_cut_from_a_tensor_with_an_axis():
    with pytest.raises(InvalidType, match="list"):
        TileStream([1.0, 2.0], 1)
    with pytest.raises(InvalidValue, match="scalar"):
        TileStream(torch.tensor(1.0), 1)
