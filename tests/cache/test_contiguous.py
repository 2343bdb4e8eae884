"""The contiguous cache keeps what it was given, in order, and refuses what does not fit without losing anything."""

import os
from pathlib import Path

import pytest
import torch

from minillm.cache import ContiguousCache
from minillm.errors import InvalidType, InvalidValue


def touched():
    """Bytes of memory this process has really taken."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def filled(lengths):
    cache = ContiguousCache(2, 3, 16, 2, 4)
    given = [[], []]
    for step, length in enumerate(lengths):
        for layer in range(2):
            k = torch.randn(3, length, 2, 4, generator=torch.Generator().manual_seed(10 * step + layer))
            given[layer].append(k)
            got_k, got_v = cache.append(layer, k, -k)
            assert torch.equal(got_k, torch.cat(given[layer], dim=1))
            assert torch.equal(got_v, -got_k)
        cache.advance(length)
    return cache, given


def test_append_returns_everything_so_far():
    cache, _ = filled([5, 1, 1, 9])
    assert cache.length == cache.max_length == 16


def test_append_copies_nothing_that_is_already_there():
    cache, _ = filled([5])
    before = cache.k.data_ptr()
    k, _ = cache.append(0, torch.zeros(3, 1, 2, 4), torch.zeros(3, 1, 2, 4))
    assert k.untyped_storage().data_ptr() == before


def test_overflow_is_refused_and_loses_nothing():
    cache, given = filled([10])
    with pytest.raises(InvalidValue, match="holds 16 tokens; got 17"):
        cache.append(0, torch.zeros(3, 7, 2, 4), torch.zeros(3, 7, 2, 4))
    assert cache.length == 10
    assert torch.equal(cache.k[0, :, :10], given[0][0])


def test_truncate_rewinds():
    cache, given = filled([6])
    cache.truncate(2)
    new = torch.ones(3, 1, 2, 4)
    k, _ = cache.append(0, new, new)
    assert torch.equal(k, torch.cat((given[0][0][:, :2], new), dim=1))
    for wrong in (-1, 3):
        with pytest.raises(InvalidValue, match="0 … 2"):
            cache.truncate(wrong)


def test_bytes_and_repr_say_what_is_used():
    cache, _ = filled([4])
    assert cache.nbytes == 2 * 2 * 3 * 16 * 2 * 4 * 4
    assert "4 of 16 tokens (25%)" in repr(cache)


def test_one_text_is_not_spread_over_a_cache_of_three():
    cache, given = filled([2])
    with pytest.raises(InvalidValue, match="holds 3 texts; got 1"):
        cache.append(0, torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4))
    assert torch.equal(cache.k[0, :, :2], given[0][0])


@pytest.mark.parametrize("empty", range(5))
def test_empty_caches_are_refused(empty):
    sizes = [2, 1, 8, 2, 4]
    sizes[empty] = 0
    with pytest.raises(InvalidValue, match="at least 1; got 0"):
        ContiguousCache(*sizes)


@pytest.mark.parametrize("size", ["2", 1.5, None, True])
def test_sizes_that_are_no_whole_numbers_are_refused(size):
    with pytest.raises(InvalidType, match="batch must be a whole number"):
        ContiguousCache(2, size, 8, 2, 4)


def ragged(lengths=(5, 2, 7)):
    cache, given = filled([7])
    cache.truncate(list(lengths))
    return cache, given


def test_each_row_is_truncated_to_its_own_length():
    cache, given = ragged()
    assert cache.lengths.tolist() == [5, 2, 7]
    cache.truncate(torch.tensor([5, 1, 0]))
    assert cache.lengths.tolist() == [5, 1, 0]
    assert torch.equal(cache.k[0, 0, :5], given[0][0][0, :5])


def test_one_length_is_only_told_where_there_is_one():
    cache, _ = ragged()
    with pytest.raises(InvalidValue, match=r"length is for rows of one length; got \[5, 2, 7\]; read lengths"):
        _ = cache.length
    with pytest.raises(InvalidValue, match="rows of one length"):
        cache.append(0, torch.zeros(3, 1, 2, 4), torch.zeros(3, 1, 2, 4))
    assert "ContiguousCache(2 to 7 of 16 tokens (29%)" in repr(cache)
    cache.truncate(2)
    assert cache.length == 2


def test_new_tokens_of_ragged_rows_stand_behind_each_row_and_nothing_else_moves():
    cache, _ = ragged()
    before = cache.k.clone()
    k = torch.full((3, 2, 2, 4), 9.0)
    assert cache.positions(torch.zeros(3, 2)).tolist() == [[5, 6], [2, 3], [7, 8]]
    cache.attend(1, torch.zeros(3, 2, 4, 4), k, k)
    for row, length in enumerate((5, 2, 7)):
        assert torch.equal(cache.k[1, row, :length], before[1, row, :length])
        assert bool((cache.k[1, row, length : length + 2] == 9).all())
    assert torch.equal(cache.k[0, 2, :7], before[0, 2, :7])


def test_a_row_is_the_same_memory_and_the_same_count():
    cache, _ = ragged()
    one = cache.row(1)
    one.append(0, torch.ones(1, 3, 2, 4), torch.ones(1, 3, 2, 4))
    one.advance(3)
    assert cache.lengths.tolist() == [5, 5, 7]
    assert bool((cache.k[0, 1, 2:5] == 1).all())
    cache.truncate([5, 3, 7])
    assert one.length == 3
    assert one.nbytes * 3 == cache.nbytes


def test_what_a_row_alone_wrote_and_took_back_is_cleared_before_all_go_on():
    """Lengths are what they were at the last ragged pass; what lies behind them is not."""
    cache, _ = ragged()
    q, k = torch.zeros(3, 1, 4, 4), torch.ones(3, 1, 2, 4)
    cache.attend(0, q, k, k)
    one, nothing = cache.row(1), torch.full((1, 4, 2, 4), torch.nan)
    one.append(0, nothing, nothing)
    one.advance(4)
    one.truncate(2)
    assert not cache.attend(0, q, k, k).isnan().any()


@pytest.mark.parametrize(
    ("length", "error", "says"),
    [
        ([5, 2], InvalidValue, "one for each of 3; got 2"),
        ([5, 3, 7], InvalidValue, "length of row 1 must lie in 0 … 2; got 3"),
        (3, InvalidValue, "length of row 1 must lie in 0 … 2; got 3"),
        ([5, -1, 7], InvalidValue, "length of row 1 must lie in 0 … 2; got -1"),
        (1.0, InvalidType, "a length must be a whole number; got 1.0"),
        (None, InvalidType, "a length must be a whole number; got None"),
        ("5", InvalidType, "a length must be a whole number"),
        ([5, True, 7], InvalidType, "a length must be a whole number; got True"),
        (torch.tensor([5.0, 2.0, 7.0]), InvalidType, "int64"),
        (torch.zeros(3, 1, dtype=torch.int64), InvalidType, "int64"),
    ],
)
def test_wrong_lengths_are_refused_and_change_nothing(length, error, says):
    cache, _ = ragged()
    with pytest.raises(error, match=says):
        cache.truncate(length)
    assert cache.lengths.tolist() == [5, 2, 7]


@pytest.mark.parametrize("lengths", [(7, 7, 7), (5, 2, 7)])
def test_new_tokens_of_another_kind_are_refused_and_change_nothing(lengths):
    cache, _ = ragged(lengths)
    kept, q, k = cache.k.clone(), torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 2, 4)
    too_long = torch.zeros(3, 10, 2, 4)
    refusals = [
        (InvalidType, "float32; got torch.float64", lambda: cache.attend(0, q.double(), k.double(), k.double())),
        (InvalidValue, "holds 3 texts; got 1", lambda: cache.attend(0, q[:1], k[:1], k[:1])),
        (InvalidValue, r"must both be \(B, L, 2, 4\)", lambda: cache.attend(0, q, k[:, :, :1], k[:, :, :1])),
        (InvalidValue, "must both be", lambda: cache.attend(0, q, k, k[:, :0])),
        (InvalidValue, "must both be", lambda: cache.attend(0, q, k[0], k[0])),
        (InvalidValue, "layers 0 … 1; got 2", lambda: cache.attend(2, q, k, k)),
        (InvalidValue, "layers 0 … 1; got -1", lambda: cache.attend(-1, q, k, k)),
        (InvalidValue, "holds 16 tokens; got 17", lambda: cache.attend(0, too_long, too_long, too_long)),
        (InvalidValue, "is on cpu; got meta", lambda: cache.attend(0, q.to("meta"), k.to("meta"), k.to("meta"))),
        (InvalidValue, "a row lies in 0 … 2; got 3", lambda: cache.row(3)),
        (InvalidValue, "row must be at least 0; got -1", lambda: cache.row(-1)),
        (InvalidType, "row must be a whole number", lambda: cache.row("0")),
    ]
    for error, says, call in refusals:
        with pytest.raises(error, match=says):
            call()
    assert torch.equal(cache.k.nan_to_num(), kept.nan_to_num())
    assert tuple(cache.lengths.tolist()) == lengths


def test_a_cache_made_in_inference_mode_serves_outside_it():
    with torch.inference_mode():
        cache = ContiguousCache(1, 2, 8, 2, 4)
    cache.append(0, torch.ones(2, 3, 2, 4), torch.ones(2, 3, 2, 4))
    cache.advance(3)
    cache.truncate([3, 1])
    cache.attend(0, torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 2, 4), torch.ones(2, 1, 2, 4))
    assert cache.lengths.tolist() == [3, 1]


def test_a_long_reservation_costs_nothing_until_it_is_used():
    if not Path("/proc/self/statm").is_file():
        pytest.skip("how much memory is touched is read from /proc")
    before = touched()
    cache = ContiguousCache(16, 1, 2**14, 8, 128)
    k = torch.ones(1, 2, 8, 128)
    assert torch.equal(cache.append(15, k, k)[0], k)
    assert cache.nbytes == 2**31
    assert touched() - before < 2**24


def test_a_reservation_beyond_all_memory_is_refused():
    with pytest.raises(InvalidValue, match=r"9,007,199,254,740,992 bytes for \(32, 1, 68719476736, 8, 128\); reserve"):
        ContiguousCache(32, 1, 2**36, 8, 128)
