"""What caches are given by mistake: each is answered in our words, and what was kept is as it was."""

import numpy as np
import pytest
import torch

from minillm.cache import (
    BlockPool,
    ContiguousCache,
    PagedCache,
    PrefixCache,
    QuantizedPagedCache,
    RadixCache,
    RingCache,
)
from minillm.errors import InvalidType, InvalidValue

WINDOW = 4


def contiguous(lengths=(4, 4, 4)):
    cache = ContiguousCache(2, 3, 16, 2, 4)
    for layer in range(2):
        cache.append(layer, torch.randn(3, 4, 2, 4), torch.randn(3, 4, 2, 4))
    cache.advance(4)
    cache.truncate(list(lengths))
    return cache


def ring(lengths=(4, 4, 4)):
    cache = RingCache(2, 3, 2, 4, window=WINDOW, sliding_layers=(0,), max_length=16, slack=2)
    k = torch.randn(3, 4, 2, 4)
    cache.attend(0, torch.zeros(3, 4, 4, 4), k, k, window=WINDOW)
    cache.attend(1, torch.zeros(3, 4, 4, 4), k, k)
    cache.advance(4)
    cache.truncate(list(lengths))
    return cache


DENSE = {
    f"{make.__name__} {shape}": (make, lengths, window)
    for make, window in ((contiguous, None), (ring, WINDOW))
    for shape, lengths in (("even", (4, 4, 4)), ("ragged", (4, 3, 2)))
}
NEW, ASK = torch.zeros(3, 2, 2, 4), torch.zeros(3, 2, 4, 4)
NOT_QUERIES = {
    "more than the keys": (torch.zeros(3, 3, 4, 4), InvalidValue, r"q must be \(3, 2, H, 4\)"),
    "fewer than the keys": (torch.zeros(3, 1, 4, 4), InvalidValue, r"got \(3, 1, 4, 4\)"),
    "one text for three": (torch.zeros(1, 2, 4, 4), InvalidValue, r"got \(1, 2, 4, 4\)"),
    "another width": (torch.zeros(3, 2, 4, 5), InvalidValue, r"got \(3, 2, 4, 5\)"),
    "no batch": (torch.zeros(2, 4, 4), InvalidValue, r"got \(2, 4, 4\)"),
    "heads in no groups": (torch.zeros(3, 2, 3, 4), InvalidValue, "multiple of num_kv_heads G; got 3 and 2"),
    "no heads": (torch.zeros(3, 2, 0, 4), InvalidValue, "multiple of num_kv_heads G; got 0 and 2"),
    "another dtype": (ASK.double(), InvalidType, "got torch.float64 on cpu beside torch.float32"),
    "another device": (ASK.to("meta"), InvalidType, "on meta"),
    "nothing": (None, InvalidType, "q must be a torch tensor; got NoneType"),
}


def contents(cache):
    full = getattr(cache, "full", None)
    parts = [cache.k, cache.v, *(() if full is None else (full.k, full.v))]
    return [x.clone() for x in parts], cache.lengths.tolist()


def unchanged(cache, before):
    """Where tokens are kept: behind them a ragged pass may clear."""
    tensors, lengths = contents(cache)
    assert lengths == before[1]
    for got, want in zip(tensors, before[0], strict=True):
        assert all(torch.equal(got[:, row, :n], want[:, row, :n]) for row, n in enumerate(lengths))


def refused(call, error, says, cache):
    before = contents(cache)
    with pytest.raises(error, match=says):
        call()
    unchanged(cache, before)


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("wrong", NOT_QUERIES)
def test_queries_that_are_not_the_new_tokens(kind, wrong):
    make, lengths, window = DENSE[kind]
    q, error, says = NOT_QUERIES[wrong]
    cache = make(lengths)
    refused(lambda: cache.attend(0, q, NEW, NEW, window=window), error, says, cache)


@pytest.mark.parametrize("kind", DENSE)
def test_new_tokens_layers_and_counts_that_are_none(kind):
    make, lengths, window = DENSE[kind]
    cache, none = make(lengths), torch.zeros(3, 0, 2, 4)
    for error, says, call in (
        (InvalidType, "k must be a torch tensor; got NoneType", lambda: cache.attend(0, ASK, None, NEW, window=window)),
        (InvalidType, "v must be a torch tensor; got list", lambda: cache.attend(0, ASK, NEW, [1], window=window)),
        (InvalidValue, "L of 1 or more", lambda: cache.attend(0, ASK[:, :0], none, none, window=window)),
        (InvalidType, "layer must be a whole number", lambda: cache.attend("0", ASK, NEW, NEW, window=window)),
        (InvalidType, "layer must be a whole number", lambda: cache.attend(True, ASK, NEW, NEW)),
        (InvalidType, "layer must be a whole number", lambda: cache.attend(1.0, ASK, NEW, NEW)),
        (InvalidValue, "layers 0 … 1; got -1", lambda: cache.attend(-1, ASK, NEW, NEW)),
        (InvalidValue, "count must be at least 0; got -1", lambda: cache.advance(-1)),
        (InvalidType, "count must be a whole number; got 1.5", lambda: cache.advance(1.5)),
        (InvalidValue, "holds 16 tokens; got 17", lambda: cache.advance(13)),
        (InvalidType, "meta, which holds no", lambda: cache.truncate(torch.zeros(3, dtype=torch.int64, device="meta"))),
    ):
        refused(call, error, says, cache)


@pytest.mark.parametrize(("window", "error"), [(0, InvalidValue), (-1, InvalidValue), ("4", InvalidType), (1.5, InvalidType), (True, InvalidType)])  # fmt: skip
@pytest.mark.parametrize("lengths", [(4, 4, 4), (4, 3, 2)])
def test_windows_that_are_none(lengths, window, error):
    cache = contiguous(lengths)
    refused(lambda: cache.attend(0, ASK, NEW, NEW, window=window), error, "window must be", cache)


CACHES = {
    "contiguous": lambda **place: ContiguousCache(2, 1, 8, 2, 4, **place),
    "ring": lambda **place: RingCache(2, 1, 2, 4, window=4, **place),
    "paged": lambda **place: PagedCache(2, 4, 4, 2, 4, **place),
    "quantised": lambda **place: QuantizedPagedCache(2, 4, 4, 2, 4, **place),
}


@pytest.mark.parametrize("make", CACHES.values(), ids=CACHES)
def test_places_that_are_none(make):
    for dtype in ("float32", torch.int32, torch.int8, None):
        with pytest.raises(InvalidType, match="a cache's dtype is one of"):
            make(dtype=dtype)
    for device in ("gpu", 3.5, "cuda:99"):
        with pytest.raises(InvalidValue, match="a device that torch has here; got"):
            make(device=device)


def test_more_than_any_memory_is_refused_before_it_is_tried():
    with pytest.raises(InvalidValue, match="reserve a smaller"):
        PagedCache(32, 2**36, 16, 8, 128)
    for count in (2**60, 2**80):
        with pytest.raises(InvalidValue, match="must fit the memory; got"):
            BlockPool(count, 16)


def meta(*shape):
    return torch.zeros(shape, device="meta")


SLOTS, TOKENS = torch.arange(2), torch.ones(2, 2, 4)
WRONG_CALLS = {
    "tables that are none": (lambda c, t: c.extend(None, [1]), InvalidType, "tables must be a list"),
    "a table, not a list": (lambda c, t: c.extend(t[0], [1]), InvalidType, "tables must be a list"),
    "tables once through": (lambda c, t: c.extend(iter(t), [1, 1]), InvalidType, "tables must be a list"),
    "counts that are none": (lambda c, t: c.extend(t, None), InvalidType, "counts must be a list"),
    "one count for all": (lambda c, t: c.extend(t, 1), InvalidType, "counts must be a list"),
    "numpy's counts": (lambda c, t: c.extend(t, [np.int64(1)] * 2), InvalidType, "count must be a whole number"),
    "true counts": (lambda c, t: c.extend(t, [True, True]), InvalidType, "count must be a whole number"),
    "counts beyond counting": (lambda c, t: c.extend(t, [10**30, 1]), InvalidValue, "blocks are free"),
    "slots in a list": (lambda c, t: c.write(0, TOKENS, TOKENS, [0, 1]), InvalidType, "slot_mapping must be a torch"),
    "one slot": (lambda c, t: c.write(0, TOKENS, TOKENS, torch.tensor(1)), InvalidValue, r"slots must be \(T,\)"),
    "slots in a column": (lambda c, t: c.write(0, TOKENS, TOKENS, SLOTS[:, None]), InvalidValue, r"slots must be"),
    "slots elsewhere": (lambda c, t: c.write(0, TOKENS, TOKENS, SLOTS.to("meta")), InvalidValue, "on meta, cpu and cpu"),
    "keys elsewhere": (lambda c, t: c.write(0, meta(2, 2, 4), TOKENS, SLOTS), InvalidValue, "on cpu, meta and cpu"),
    "no keys": (lambda c, t: c.write(0, None, TOKENS, SLOTS), InvalidType, "k must be a torch tensor"),
    "a layer's name": (lambda c, t: c.write("0", TOKENS, TOKENS, SLOTS), InvalidType, "layer must be a whole number"),
    "a true layer": (lambda c, t: c.write(True, TOKENS, TOKENS, SLOTS), InvalidType, "layer must be a whole number"),
    "a layer read too far": (lambda c, t: c.read(2, t[0]), InvalidValue, "layers 0 … 1; got 2"),
    "a layer read from the end": (lambda c, t: c.read(-1, t[0]), InvalidValue, "layer|layers 0 … 1; got -1"),
    "a layer read by name": (lambda c, t: c.read("0", t[0]), InvalidType, "layer must be a whole number"),
    "copies that are no pairs": (lambda c, t: c.copy_blocks([(0, 1, 2)]), InvalidType, "must be a list of"),
    "copies that are blocks": (lambda c, t: c.copy_blocks([0, 1]), InvalidType, "must be a list of"),
    "two copies in one block": (lambda c, t: c.copy_blocks([(0, 5), (1, 5)]), InvalidValue, "the copy of one other"),
    "nothing to copy out": (lambda c, t: c.to_contiguous([]), InvalidValue, "at least one text; got none"),
    "no list to copy out": (lambda c, t: c.to_contiguous(None), InvalidType, "tables must be a list"),
    "nothing to copy in": (lambda c, t: c.from_contiguous(None), InvalidType, "only a ContiguousCache"),
    "a ring to copy in": (lambda c, t: c.from_contiguous(CACHES["ring"]()), InvalidType, "got RingCache"),
    "copying in from elsewhere": (lambda c, t: c.from_contiguous(CACHES["contiguous"](device="meta")), InvalidValue, "device"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [PagedCache, QuantizedPagedCache])
@pytest.mark.parametrize("name", WRONG_CALLS)
def test_calls_of_a_paged_cache_that_cannot_be_meant(kind, name):
    call, error, says = WRONG_CALLS[name]
    cache = kind(2, 8, 4, 2, 4)
    tables = [cache.table(), cache.table()]
    cache.extend(tables, [3, 5])
    for x in cache._tensors:
        x.fill_(1)
    before = cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables]
    with pytest.raises(error, match=says):
        call(cache, tables)
    assert before == (cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables])
    assert all(bool((x.float() == 1).all()) for x in cache._tensors)
    cache.pool.check([t.block_ids for t in tables])


def test_a_storage_that_is_no_name():
    with pytest.raises(InvalidValue, match="unknown storage"):
        QuantizedPagedCache(2, 4, 4, 2, 4, stored=["int8"])


@pytest.mark.parametrize("kind", [PrefixCache, RadixCache])
def test_tokens_that_hold_no_numbers(kind):
    pool = BlockPool(4, 2)
    cache, blocks = kind(pool), pool.allocate(2)
    for tokens in (torch.zeros(4, dtype=torch.int64, device="meta"), torch.zeros(2, 2, dtype=torch.int64), [1, None]):
        for call in (cache.match, cache.pin, cache.unpin, lambda ids: cache.insert(ids, blocks)):
            with pytest.raises(InvalidType, match="token_ids must be whole numbers"):
                call(tokens)
    cache.check()
    assert pool.snapshot().keys == {}
