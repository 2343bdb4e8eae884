"""The tiles a block of queries visits, against the visibility of every single key, and what the visits cost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.attention.naive import visible
from minillm.errors import InvalidType, InvalidValue
from minillm.measure.tiles import key_range, padded_width, tiled_attention_cost

CASES = st.fixed_dictionaries(
    {
        "L": st.integers(1, 40),
        "S": st.integers(1, 40),
        "block_l": st.sampled_from([1, 3, 4, 16, 64]),
        "block_s": st.sampled_from([1, 3, 4, 16, 64]),
        "causal": st.booleans(),
        "window": st.none() | st.integers(1, 50),
    }
)


def blocks(L, S, block_l, causal, window, **_):
    """(q_tile, which keys each of its rows sees) of every block of queries."""
    return enumerate(visible(L, S, causal, window).split(block_l))


@settings(max_examples=300)
@given(CASES)
def test_every_visible_key_is_visited_once_and_only_whole_tiles_go_unmasked(case):
    S, block_s = case["S"], case["block_s"]
    for q_tile, seen in blocks(**case):
        visited = key_range(q_tile, **case).tiles(block_s)
        starts = [start for start, _ in visited]
        assert len(set(starts)) == len(starts) and all(start % block_s == 0 for start in starts)
        for start, masked in visited:
            tile = seen[:, start : start + block_s]
            assert masked or (tile.all() and start + block_s <= S), f"tile {start} needs a mask"
        reached = torch.zeros(S, dtype=torch.bool)
        for start in starts:
            reached[start : start + block_s] = True
        assert not seen[:, ~reached].any()


@settings(max_examples=300)
@given(CASES)
def test_no_tile_is_visited_in_vain_and_none_masked_that_is_whole(case):
    block_s = case["block_s"]
    for q_tile, seen in blocks(**case):
        for start, masked in key_range(q_tile, **case).tiles(block_s):
            tile = seen[:, start : start + block_s]
            assert tile.any() or not seen.any(), f"tile {start} is loaded and hidden"
            whole = tile.all() and tile.shape[1] == block_s
            assert masked != whole, f"tile {start}: masked={masked}, whole={whole}"


@settings(max_examples=100)
@given(CASES)
def test_the_range_is_in_order_and_cut_at_tiles(case):
    for q_tile, _ in blocks(**case):
        keys = key_range(q_tile, **case)
        assert 0 <= keys.start <= keys.full_start <= keys.full_end and keys.end <= case["S"]
        assert not any(edge % case["block_s"] for edge in (keys.start, keys.full_start, keys.full_end))


def test_a_causal_square_visits_the_lower_triangle():
    visited = [key_range(q_tile, 256, 256, 64, 64, causal=True).tiles(64) for q_tile in range(4)]
    assert [len(tiles) for tiles in visited] == [1, 2, 3, 4]
    assert all([masked for _, masked in tiles] == [False] * (len(tiles) - 1) + [True] for tiles in visited)


def test_a_window_is_as_dear_at_any_length():
    def visited(length):
        return len(key_range(length // 64 - 1, length, length, 64, 64, causal=True, window=100).tiles(64))

    assert visited(512) == visited(65_536) == 3


def test_cost_by_hand():
    """130 tokens causal in tiles of 64: blocks of 64, 64 and 2 rows visit 1, 2 and 3 tiles, the last of 2 keys."""
    cost = tiled_attention_cost(2, 130, 130, 4, 80, block_l=64, block_s=64, causal=True, sinks=True)
    keys = 64 + 128 + 130
    assert cost.tile_steps == 8 * 6
    assert cost.bytes.loaded == 8 * ((130 * 80 + 2 * keys * 80) * 2 + 3 * 4)
    assert cost.bytes.stored == 8 * 130 * (80 * 2 + 4)
    assert cost.flops == 8 * 6 * 4 * 64 * 64 * 128


def test_halving_the_block_of_queries_doubles_the_keys_read():
    cost = [tiled_attention_cost(1, 256, 256, 1, 64, block_l=b, block_s=64).bytes.loaded for b in (128, 64, 32)]
    queries = 256 * 64 * 2
    assert [(c - queries) for c in cost] == [2 * 2 * queries, 4 * 2 * queries, 8 * 2 * queries]


@pytest.mark.parametrize(("D", "width"), [(1, 16), (16, 16), (17, 32), (64, 64), (80, 128), (96, 128), (256, 256)])
def test_padded_width(D, width):
    assert padded_width(D) == width


@pytest.mark.parametrize("name", ["batch", "query_length", "head_dim", "block_l"])
def test_a_cost_of_nothing_is_refused(name):
    sizes = {"batch": 1, "query_length": 8, "key_length": 8, "num_heads": 1, "head_dim": 16}
    sizes |= {"block_l": 16, "block_s": 16, name: 0}
    with pytest.raises((InvalidValue, InvalidType), match=name):
        tiled_attention_cost(**sizes)
