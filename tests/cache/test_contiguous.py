"""The contiguous cache keeps what it was given, in order, and refuses what does not fit without losing anything."""

import pytest
import torch

from minillm.cache import ContiguousCache
from minillm.errors import InvalidType, InvalidValue


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
