"""The tile explorer: its colours are the mask's own, tile by tile, and its numbers are what the tiled form counts."""

import pytest
import torch

import minillm as ml
from minillm.attention.tiled import tiled_attention
from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.tile_map import MASKED, SKIPPED, WHOLE, explore_tiles

CASES = [
    dict(L=200, S=200, block_l=64, block_s=32),
    dict(L=100, S=200, block_l=32, block_s=64),
    dict(L=200, S=100, block_l=64, block_s=64),
    dict(L=128, S=256, block_l=32, block_s=32, window=64),
    dict(L=200, S=200, block_l=32, block_s=16, causal=False),
    dict(L=200, S=200, block_l=32, block_s=64, causal=False, window=32),
    dict(L=1, S=200, block_l=64, block_s=64),
]


def visible(L, S, causal, window):
    """The mask by its definition (L, S), pair by pair."""
    query, key = torch.arange(L)[:, None] + S - L, torch.arange(S)[None, :]
    mask = torch.ones(L, S, dtype=torch.bool)
    mask &= key <= query if causal else mask
    return mask & (key > query - window) if window is not None else mask


@pytest.mark.parametrize("case", CASES)
def test_kinds_follow_the_mask_pair_by_pair(case):
    data = explore_tiles().data(**case)
    mask = visible(data.L, data.S, data.causal, data.window)
    for i, row in enumerate(data.kinds):
        for j, kind in enumerate(row):
            pairs = mask[i * data.block_l : (i + 1) * data.block_l, j * data.block_s : (j + 1) * data.block_s]
            if kind == SKIPPED:
                assert not pairs.any()
            elif kind == WHOLE:
                assert pairs.all() and pairs.shape[1] == data.block_s
            else:
                assert kind == MASKED and (not pairs.all() or pairs.shape[1] < data.block_s)


@pytest.mark.parametrize("case", CASES)
def test_bytes_and_flops_are_what_the_tiled_form_counts(case):
    data = explore_tiles(head_dim=16, dtype_bytes=4).data(**case)
    q, k, v = torch.randn(1, data.L, 1, 16), torch.randn(1, data.S, 1, 16), torch.randn(1, data.S, 1, 16)
    tiles = {"block_l": data.block_l, "block_s": data.block_s}
    visits = []
    with ml.count() as c:
        tiled_attention(q, k, v, causal=data.causal, window=data.window, record=visits.append, **tiles)
    assert (data.cost.bytes.loaded, data.cost.bytes.stored, data.cost.flops) == (
        c.bytes_loaded,
        c.bytes_stored,
        c.flops,
    )
    assert [len(visits), sum(v.masked for v in visits)] == [data.count(WHOLE) + data.count(MASKED), data.count(MASKED)]


def test_smaller_tiles_waste_fewer_flops_and_read_more_bytes():
    small, large = (explore_tiles().data(block_l=b, block_s=b) for b in (16, 128))
    assert small.cost.flops < large.cost.flops
    assert small.cost.bytes.loaded > large.cost.bytes.loaded
    assert small.useful_flops == large.useful_flops


def test_the_text_has_every_number_and_draws_the_map():
    lines = explore_tiles(128, 128, head_dim=64).text(block_l=64, block_s=32).splitlines()
    assert lines == [
        "L = 128, S = 128, causal; tiles of 64 queries x 32 keys",
        "6 of 8 tiles loaded: 2 whole, 4 masked; 2 never loaded",
        "bytes loaded: 65 536 (64 KiB); with every tile 80 KiB; q, k, v once 48 KiB; naive 761 KiB",
        "bytes stored: 16 896 (16.5 KiB), out and lse, whatever the tiles",
        "FLOPs issued: 3 145 728, of which useful 2 113 536 (67.2%); with every tile 4 194 304",
        "  / / . .",
        "  # # / /",
        "  # whole   / masked   . never loaded",
    ]


def test_every_control_moves_data_picture_and_words():
    panel = widgets.tile_explorer(256, 256)
    moves = [("L", 128), ("S", 512), ("block_l", 32), ("block_s", 128), ("causal", False), ("window", 64)]
    seen = {bytes(panel.image.value)}
    for name, value in moves:
        words = panel.readout.value
        panel.control[name].value = value
        assert getattr(panel.data, name) == value and panel.readout.value != words
        seen.add(bytes(panel.image.value))
    assert len(seen) == len(moves) + 1


@pytest.mark.parametrize("changes", [dict(L=1, S=1), dict(L=2048, S=1), dict(L=2048, S=2048, block_l=16, block_s=16)])
def test_extremes_draw(changes):
    assert explore_tiles().still(**changes).png


def test_nothing_to_see_is_nothing_loaded():
    data = explore_tiles().data(L=512, S=100)
    assert all(kind == SKIPPED for row in data.kinds[:6] for kind in row)


@pytest.mark.parametrize("bad", [{"L": 0}, {"S": 5000}, {"head_dim": 2.5}, {"dtype_bytes": 0}, {"L": True}])
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InvalidValue, match="must be a whole number from 1"):
        widgets.tile_explorer(**bad)
