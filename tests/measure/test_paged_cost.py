"""What paged attention costs, by hand: the formula for one text, the search for a text, the runs of a range."""

import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.measure.cost import paged_attention_cost
from minillm.measure.decode_cost import flash_decode_cost
from minillm.measure.paged_cost import cut_range, find_text, paged_rows
from minillm.measure.splits import split_range
from minillm.measure.tiles import key_range


def test_one_decoded_text_by_hand():
    """8192 keys of 8 KV heads of 128 in bfloat16, blocks of 16, tiles of 64: the table costs 4 bytes a key and head."""
    got = paged_attention_cost([(1, 8192)], 32, 8, 128, block_size=16, block_l=16, block_s=64)
    assert got.bytes.stored == 32 * (128 * 2 + 4)
    assert got.bytes.loaded == 8 * (2 * 8192 * 128 * 2 + 4 * 8192 + 4) + 32 * 128 * 2
    assert got.tile_steps == 8 * 128 and got.flops == 8 * 128 * 4 * 16 * 64 * 128
    large = paged_attention_cost([(1, 8192)], 32, 8, 128, block_size=64, block_l=16, block_s=64)
    assert got.bytes.loaded - large.bytes.loaded == 8 * 4 * (8192 - 128)


@pytest.mark.parametrize("num_splits", [1, 3, 16])
@pytest.mark.parametrize("window", [None, 100])
def test_decoding_costs_what_it_costs_without_pages_and_the_table(num_splits, window):
    lengths = [1, 63, 64, 500, 1000]
    options = {"block_s": 64, "num_splits": num_splits, "window": window, "sinks": True}
    paged = paged_attention_cost([(1, S) for S in lengths], 8, 2, 80, block_size=64, block_l=16, **options)
    plain = flash_decode_cost(lengths, 8, 2, 80, **options)
    table = 4 * paged.tile_steps
    assert (paged.bytes.loaded - table, paged.bytes.stored) == (plain.bytes.loaded, plain.bytes.stored)
    assert paged.flops == plain.flops


def test_a_mixture_costs_what_its_texts_cost_but_for_the_search():
    texts = [(1, 130), (29, 75), (0, 7), (0, 0), (5, 18)]
    sizes = {"block_size": 16, "block_l": 16, "block_s": 32, "max_query_len": 29}
    together = paged_attention_cost(texts, 4, 2, 32, **sizes)
    alone = [paged_attention_cost([text], 4, 2, 32, **sizes) for text in texts]
    assert together.flops == sum(one.flops for one in alone)
    assert together.bytes.stored == sum(one.bytes.stored for one in alone)
    found = together.bytes.loaded - sum(one.bytes.loaded for one in alone)
    assert (
        0 < found <= 2 * (35 // 8 + 5) * 4 * (3 + 2 + 1)
    )  # two heads, four bytes, three steps of bisection and three more


def test_a_text_without_a_query_among_single_ones_makes_a_search_of_it():
    """Only where every text has exactly one query does a program's number tell its text."""
    sizes = {"block_size": 16, "block_l": 16, "block_s": 32}
    with_search = paged_attention_cost([(1, 9), (0, 7)], 4, 2, 32, max_query_len=2, **sizes)
    assert paged_attention_cost([(1, 9), (0, 7)], 4, 2, 32, **sizes) == with_search
    assert paged_attention_cost([(1, 9)], 4, 2, 32, **sizes).bytes.loaded < with_search.bytes.loaded


@pytest.mark.parametrize("block_q", [1, 3, 8])
@pytest.mark.parametrize("lengths", [[1], [0, 0, 1], [7, 8, 9, 0, 16, 17, 0], [3] * 9, [0, 25, 0]], ids=str)
def test_every_tile_of_every_text_is_found_once(lengths, block_q):
    starts = [sum(lengths[:b]) for b in range(len(lengths) + 1)]
    found = []
    for tile in range(starts[-1] // block_q + len(lengths)):
        b, reads = find_text(starts, tile, block_q)
        assert reads <= len(lengths).bit_length()
        found.append((b, tile - (starts[b] // block_q + b)))
    wanted = [(b, i) for b, L in enumerate(lengths) for i in range(-(-L // block_q))]
    assert sorted(set(found) & set(wanted)) == wanted and len(set(found)) == len(found)


@pytest.mark.parametrize("S", [1, 31, 32, 33, 200])
@pytest.mark.parametrize("window", [None, 1, 40])
def test_runs_of_one_query_are_those_of_decoding(S, window):
    visited = key_range(0, 1, S, 1, 32, causal=True, window=window)
    for num_splits in (1, 2, 3, 9):
        for split in range(num_splits):
            run = cut_range(visited, split, num_splits, 32)
            assert run.tiles(32) == split_range(S, split, num_splits, 32, window=window).tiles(32)


@pytest.mark.parametrize("num_splits", [1, 2, 3, 7, 50])
def test_runs_share_out_the_tiles(num_splits):
    for L, S, q_tile, window in ((29, 75, 2, None), (29, 200, 0, 60), (8, 8, 0, None), (64, 300, 7, 37)):
        visited = key_range(q_tile, L, S, 8, 16, causal=True, window=window)
        runs = [cut_range(visited, split, num_splits, 16) for split in range(num_splits)]
        assert [tile for run in runs for tile in run.tiles(16)] == visited.tiles(16)
        assert max(run.end for run in runs) == visited.end


def test_rows_of_a_tile():
    assert paged_rows(16, 32, 8) == (16, 4)
    assert paged_rows(16, 3, 1) == (16, 5)
    assert paged_rows(16, 17, 1) == (32, 1)
    assert paged_rows(128, 8, 8) == (128, 128)


def test_nonsense_is_refused():
    sizes = {"block_size": 16, "block_l": 16, "block_s": 32}
    with pytest.raises(InvalidValue, match="num_kv_heads must be at least 1; got 0"):
        paged_attention_cost([(1, 1)], 4, 0, 32, **sizes)
    with pytest.raises(InvalidType, match=r"block_s must be a whole number; got 32.0"):
        paged_attention_cost([(1, 1)], 4, 2, 32, **{**sizes, "block_s": 32.0})
    with pytest.raises(InvalidValue, match="multiple of num_kv_heads; got 2 and 4; nearest valid"):
        paged_attention_cost([(1, 1)], 2, 4, 32, **sizes)
    with pytest.raises(InvalidValue, match="window must be at least 1; got 0"):
        paged_attention_cost([(1, 1)], 4, 2, 32, window=0, **sizes)
    for L, S, error, text in (
        (-5, 3, InvalidValue, "L must be at least 0; got -5"),
        (5, 3, InvalidValue, "S must be at least 5; got 3"),
        (1.0, 3, InvalidType, "L must be a whole number; got 1.0"),
    ):
        with pytest.raises(error, match=text):
            paged_attention_cost([(1, 1), (L, S)], 4, 2, 32, **sizes)
    for texts in ([5, 3], (1, 8192), 8192):
        with pytest.raises(InvalidType, match=r"texts must be a list of \(L, S\).*; write \[\(1, 8192\)\] \* 32"):
            paged_attention_cost(texts, 4, 2, 32, **sizes)
