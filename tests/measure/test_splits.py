"""The rule for how many runs keys are cut into, and the runs: pencil arithmetic, checked against its own definition."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import InvalidType, InvalidValue
from minillm.measure import cost
from minillm.measure.splits import (
    BUSY_ENOUGH,
    MOST_ROWS,
    MOST_SPLITS,
    NEAR_ENOUGH,
    TOO_FEW_TILES,
    decode_rows,
    efficiency,
    num_splits,
    require_splits,
    split_range,
    tiles_seen,
    waves,
)

# Programs B·G, processors, tiles of keys: what the rule says, worked out by hand from its definition.
KNOWN = {
    "a full GPU": ((256, 132, 128), 1),
    "four fifths of it": ((106, 132, 128), 1),
    "four tiles": ((1, 132, 4), 1),
    "one text of 32k": ((8, 132, 512), 14),  # 112 of 132 at work on 37 tiles: 0.839, and the best is 0.970
    "half a GPU": ((66, 132, 128), 2),  # all of it at once: nothing is better
    "just over half": ((70, 132, 128), 5),  # 2 runs leave 124 of 264 places empty, 5 only 46 of 396
    "four fifths to the dot": ((4, 5, 100), 1),  # 5 runs would fill every place, 1 leaves a fifth of them
    "no more runs than processors": ((3, 4, 5), 1),  # 5 runs: 15 of 16 places, which up to 4 runs do not come near
    "nothing to do": ((0, 132, 0), 1),
    "one processor": ((1, 1, 1000), 1),
}


@pytest.mark.parametrize("case", KNOWN)
def test_the_rule_says_what_its_definition_says(case):
    asked, want = KNOWN[case]
    assert num_splits(*asked) == want


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 3000), st.integers(1, 200))
def test_the_rule_is_the_fewest_runs_near_the_best(programs, processors, key_tiles, most):
    found = num_splits(programs, processors, key_tiles, most=most)
    assert 1 <= found <= max(1, min(most, processors, key_tiles))
    if programs >= BUSY_ENOUGH * processors or key_tiles <= TOO_FEW_TILES:
        assert found == 1
        return
    shares = {n: efficiency(programs, processors, key_tiles, n) for n in range(1, min(most, processors, key_tiles) + 1)}
    enough = NEAR_ENOUGH * max(shares.values())
    assert shares[found] >= enough and all(shares[n] < enough for n in range(1, found))


def test_a_call_may_ask_for_as_many_runs_as_the_rule():
    require_splits(MOST_SPLITS)
    with pytest.raises(
        InvalidValue, match=f"num_splits must be at most {MOST_SPLITS}; got {MOST_SPLITS + 1}; leave it"
    ):
        require_splits(MOST_SPLITS + 1)


def test_waves_and_efficiency_of_a_small_gpu():
    assert [waves(n, 4) for n in (0, 1, 4, 5, 8, 9)] == [0, 1, 1, 2, 2, 3]
    # 3 programs of 8 tiles on 4 processors: three at work; 6 runs of 4 in two waves; 12 runs of 2 in three full waves.
    assert [efficiency(3, 4, 8, n) for n in (1, 2, 4)] == [24 / 32, 24 / 32, 1.0]
    assert efficiency(1, 4, 8, 3) == 8 / (4 * 3)  # runs of 3, 3 and 2 tiles


@given(st.integers(0, 700), st.integers(1, 40), st.sampled_from([16, 64]), st.none() | st.integers(1, 800))
def test_runs_are_the_visible_tiles_once_each_in_order(seq_len, splits, block_s, window):
    ranges = [split_range(seq_len, split, splits, block_s, window=window) for split in range(splits)]
    tiles = [tile for visited in ranges for tile in visited.tiles(block_s)]
    first = max(0, seq_len - window) if window else 0
    starts = list(range(first // block_s * block_s, seq_len, block_s))
    assert [start for start, _ in tiles] == starts and len(starts) == tiles_seen(seq_len, block_s, window=window)
    for start, masked in tiles:
        assert masked == (start < first or start + block_s > seq_len), f"tile {start}"
    longest = max(len(visited.tiles(block_s)) for visited in ranges)
    assert longest == -(-len(starts) // splits)
    for visited in ranges:
        assert visited.start <= visited.full_start <= visited.full_end
        assert (visited.end <= visited.start) == (not visited.tiles(block_s))


def test_rows_of_a_tile():
    assert [decode_rows(H, G) for H, G in ((1, 1), (32, 8), (32, 2), (20, 1), (64, 1), (71, 1), (128, 1))] == [
        (16, 1), (16, 1), (16, 1), (32, 1), (64, 1), (64, 2), (64, 2),
    ]  # fmt: skip
    for group in range(1, 300):
        rows, tiles = decode_rows(group, 1)
        assert rows <= MOST_ROWS and (tiles - 1) * rows < group <= tiles * rows


def test_sharing_heads_saves_a_packed_kernel_what_it_does_not_save_the_other():
    """32 texts of 8k in bfloat16: multi-head, grouped and multi-query, by two kernels, in bytes of keys and values."""
    lengths = [8192] * 32
    table = {}
    for G in (32, 8, 1):
        packed = cost.flash_decode_cost(lengths, 32, G, 128, block_s=64)
        per_head = cost.per_head_decode_cost(lengths, 32, 128, block_l=128, block_s=64)
        table[G] = packed.bytes.loaded, per_head.bytes.loaded
    keys = 2 * 32 * 8192 * 128 * 2
    small = 32 * 32 * 128 * 2  # the queries
    assert table == {G: (G * keys + small + 4 * 32 * G, 32 * keys + small) for G in (32, 8, 1)}


def test_cutting_reads_no_key_twice():
    one, many = (cost.split_decode_cost([1000, 1], 8, 2, 64, block_s=64, num_splits=n) for n in (1, 5))
    queries = 4 * 2 * 8 * 64 * 2  # of four more runs
    assert many.bytes.loaded - one.bytes.loaded == queries + 4 * (20 - 4)
    assert many.flops == one.flops and many.programs == 5 * one.programs


def test_windows_bound_what_a_text_costs():
    costs = [cost.flash_decode_cost([n], 8, 2, 64, block_s=64, window=512).bytes.loaded for n in (4096, 8192, 2**20)]
    assert len(set(costs)) == 1


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: num_splits(-1, 132, 10), InvalidValue, "programs must be at least 0; got -1"),
        (lambda: num_splits(1, 0, 10), InvalidValue, "processors must be at least 1; got 0"),
        (lambda: num_splits(1, 132, 2.5), InvalidType, "key_tiles must be a whole number; got 2.5"),
        (lambda: num_splits(1, 132, 10, most=0), InvalidValue, "most must be at least 1"),
        (lambda: waves(True, 1), InvalidType, "programs must be a whole number; got True"),
        (lambda: efficiency(1, 1, 1, 0), InvalidValue, "splits must be at least 1"),
        (lambda: split_range(10, 3, 3, 16), InvalidValue, "split must be below 3; got 3; count from 0"),
        (lambda: split_range(-1, 0, 3, 16), InvalidValue, "seq_len must be at least 0; got -1"),
        (lambda: split_range(10, 0, 3, 16, window=0), InvalidValue, "window must be at least 1"),
        (lambda: decode_rows(12, 5), InvalidValue, "got 12 and 5; nearest valid: 4 or 6"),
        (lambda: cost.flash_decode_cost([-1], 8, 2, 64, block_s=64), InvalidValue, "length must be at least 0; got -1"),
        (
            lambda: cost.flash_decode_cost(8192, 8, 2, 64, block_s=64),
            InvalidType,
            r"a list, one a text; got int; write",
        ),
        (lambda: cost.per_head_decode_cost([0], 8, 64, block_l=16, block_s=64, dtype_bytes=-2), InvalidValue, "got -2"),
        (lambda: cost.per_head_decode_cost([1], 8, 64, block_l=16, block_s=64, window=0), InvalidValue, "window must"),
        (lambda: cost.kv_write_bytes(1, 2, 64, dtype_bytes=4, cache_bytes=2), InvalidValue, "1 or the 4 .*; got 2"),
        (lambda: cost.flash_decode_cost([1], 8, 3, 64, block_s=64), InvalidValue, "got 8 and 3; nearest valid: 2 or 4"),
        (
            lambda: cost.per_head_decode_cost([1], 8, 64, block_l=0, block_s=64),
            InvalidValue,
            "block_l must be at least 1",
        ),
        (lambda: cost.kv_write_bytes(-1, 2, 64), InvalidValue, "tokens must be at least 0; got -1"),
        (lambda: cost.kv_write_bytes(2, 2, 64, skipped=3), InvalidValue, "skipped must be at most tokens, 2; got 3"),
        (lambda: cost.rotary_bytes(2, 0, 2, 64), InvalidValue, "num_heads must be at least 1"),
    ],
)
def test_bad_numbers_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_writing_costs_by_hand():
    """A token of 8 heads, 128 wide, in bfloat16: 4 KiB in and out, and in 8 bits half of that out, with 16 scales."""
    whole, eight = cost.kv_write_bytes(1, 8, 128), cost.kv_write_bytes(1, 8, 128, cache_bytes=1)
    assert (whole.loaded, whole.stored) == (4096 + 64, 4096)
    assert (eight.loaded, eight.stored) == (4096 + 64, 2048 + 64)
    for H, G in product((32, 8), (8, 1)):
        apart = cost.rotary_bytes(1, H, G, 128)
        fused = cost.rotary_write_bytes(1, H, G, 128)
        two_kernels = apart.moved + cost.kv_write_bytes(1, G, 128).moved
        assert fused.moved == two_kernels - 2 * G * 256 - 8 * (G - 1)  # the turned key is written once, and never read
