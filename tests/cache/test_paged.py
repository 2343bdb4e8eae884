"""What the paged cache refuses, and that a refusal changes nothing; what it says of itself."""

import pytest
import torch
from cached_texts import FAMILIES, decoder, relative, text

from minillm.cache import BlockTable, OutOfBlocks, PagedCache, QuantizedPagedCache
from minillm.cache.quantized import dequantise, quantise
from minillm.errors import InvalidType, InvalidValue


def small(blocks=6, **options):
    return PagedCache(3, blocks, 4, 2, 8, dtype=torch.float64, check=True, **options)


@pytest.fixture
def filled():
    cache = small()
    tables = [cache.table(), cache.table()]
    model = decoder("llama")
    model(text(9)[0], cache.extend(tables, [4, 5]))
    return cache, tables


def state(cache, tables):
    contents = [x.nan_to_num(nan=-7.0).clone() for x in (cache.k, cache.v)]
    return cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables], contents


def same(a, b):
    return a[:2] == b[:2] and all(torch.equal(x, y) for x, y in zip(a[2], b[2], strict=True))


def other_pools_table():
    return small().table()


def freed(cache):
    table = cache.table()
    table.free()
    return table


REFUSALS = {
    "too many together": (lambda c, t: c.extend(t, [8, 9]), OutOfBlocks, "3 of 6 blocks are free; got 4"),
    "too many for one": (lambda c, t: c.extend(t[:1], [20]), OutOfBlocks, "3 of 6"),
    "nobody": (lambda c, t: c.extend([], []), InvalidValue, "at least one text"),
    "counts that do not pair up": (lambda c, t: c.extend(t, [1]), InvalidValue, "1 for 2"),
    "no tokens": (lambda c, t: c.extend(t, [1, 0]), InvalidValue, "at least 1; got 0"),
    "a negative count": (lambda c, t: c.extend(t, [1, -3]), InvalidValue, "at least 1; got -3"),
    "half a token": (lambda c, t: c.extend(t, [1, 0.5]), InvalidType, "whole number"),
    "one text twice": (lambda c, t: c.extend([t[0], t[0]], [1, 1]), InvalidValue, "twice"),
    "another pool's table": (lambda c, t: c.extend([t[0], other_pools_table()], [1, 1]), InvalidType, "this cache's"),
    "no table": (lambda c, t: c.extend([t[0], [1, 2]], [1, 1]), InvalidType, "this cache's"),
    "a freed table": (lambda c, t: c.extend([t[0], freed(c)], [1, 1]), InvalidValue, "freed"),
    "reading a freed table": (lambda c, t: c.read(0, freed(c)), InvalidValue, "freed"),
    "copying from nowhere": (lambda c, t: c.copy_blocks([(0, 99)]), InvalidValue, "0 … 5"),
    "a slot outside": (lambda c, t: write(c, [24]), InvalidValue, "0 … 23"),
    "a slot below": (lambda c, t: write(c, [-2]), InvalidValue, "0 … 23"),
    "a layer too many": (lambda c, t: write(c, [1], layer=3), InvalidValue, "0 … 2"),
    "keys of another dtype": (lambda c, t: write(c, [1], dtype=torch.float32), InvalidType, "float64"),
    "keys of other heads": (lambda c, t: write(c, [1], heads=1), InvalidValue, r"\(1, 2, 8\)"),
    "more keys than slots": (lambda c, t: write(c, [1], count=2), InvalidValue, r"\(1, 2, 8\)"),
    "another model's cache": (lambda c, t: c.from_contiguous(decoder("llama mha").new_cache(1)), InvalidValue, "same"),
    "no room for the longest": (lambda c, t: c.to_contiguous(t, max_length=4), InvalidValue, "of 5 tokens"),
}  # fmt: skip


def write(cache, slots, layer=0, dtype=torch.float64, heads=2, count=None):
    k = torch.ones(len(slots) if count is None else count, heads, 8, dtype=dtype)
    cache.write(layer, k, k, torch.tensor(slots))


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_why_and_change_nothing(name, filled):
    call, kind, words = REFUSALS[name]
    before = state(*filled)
    with pytest.raises(kind, match=words):
        call(*filled)
    assert same(state(*filled), before)
    filled[0].pool.check([t.block_ids for t in filled[1]])


def test_a_pass_takes_the_tokens_it_made_room_for_and_the_model_it_is_for(filled):
    cache, tables = filled
    batch = cache.extend(tables, [1, 2])
    with pytest.raises(InvalidValue, match="room for 3 new tokens; got 2"):
        decoder("llama")(torch.tensor([1, 2]), batch)
    with pytest.raises(InvalidValue, match="kv_heads"):
        decoder("llama mha")(torch.tensor([1, 2, 3]), batch)
    with pytest.raises(InvalidType, match=r"\(T,\)"):
        decoder("llama")(torch.tensor([[1, 2, 3]]), batch)


def test_the_index_tensors_are_what_kernels_take(filled):
    cache, tables = filled
    batch = cache.extend(tables, [1, 2])
    assert (batch.max_query_len, batch.max_seq_len) == (2, 7)
    for got, want in (
        (batch.block_table, [[*tables[0].block_ids], [*tables[1].block_ids]]),
        (batch.seq_lens, [5, 7]),
        (batch.query_start_loc, [0, 1, 3]),
        (batch.slot_mapping, tables[0].slots(4, 5) + tables[1].slots(5, 7)),
        (batch.token_positions, [4, 5, 6]),
    ):
        assert got.tolist() == want
    kinds = [x.dtype for x in (batch.block_table, batch.seq_lens, batch.query_start_loc)]
    assert kinds == [torch.int32] * 3 and batch.slot_mapping.dtype == batch.token_positions.dtype == torch.int64


@pytest.mark.parametrize(
    ("counts", "rows"), [([5], [4]), ([1], [0]), ([2, 3], [1, 4]), ([1, 1], [0, 1]), ([3, 1], [2, 3])]
)
def test_what_follows_a_text_is_asked_of_its_last_token(counts, rows):
    cache = small()
    batch = cache.extend([cache.table() for _ in counts], counts)
    x = torch.arange(sum(counts))[:, None].expand(-1, 2)
    assert batch.last_rows(x).tolist() == [[row, row] for row in rows]


def test_a_pass_stays_what_it_was_when_its_texts_go_on():
    cache = small()
    table = cache.table()
    batch = cache.extend([table], [3])
    cache.extend([table], [9])
    assert batch.block_table.tolist() == [table.block_ids[:1]] and batch.seq_lens.tolist() == [3]


def test_siblings_that_fill_the_last_block_need_one_copy_less():
    """Two texts share a half-full block and both go on: the first gets a copy, the second keeps the block."""
    cache = small(blocks=2)
    table = cache.table()
    cache.extend([table], [2])
    both = [table, table.fork()]
    cache.extend(both, [1, 1])
    assert cache.pool.num_free == 0
    cache.pool.check([t.block_ids for t in both])


def test_slots_of_minus_one_are_nowhere():
    cache = small()
    table = cache.table()
    cache.extend([table], [2])
    k = torch.arange(32.0, dtype=torch.float64).view(2, 2, 8)
    cache.write(1, k, -k, torch.tensor([table.slots(0, 1)[0], -1]))
    got, _ = cache.read(1, table)
    assert torch.equal(got[0], k[0]) and got[1].isnan().all()


def test_bytes_and_reprs():
    plain, narrow = small(), QuantizedPagedCache(3, 6, 4, 2, 8)
    assert plain.nbytes == 2 * 3 * 6 * 4 * 2 * 8 * 8
    assert narrow.nbytes == 2 * 3 * 6 * 4 * 2 * (8 + 4)
    plain.extend([plain.table()], [5])
    assert "2 of 6 used" in repr(plain) and "layers=3" in repr(plain)
    assert "int8" in repr(narrow)
    assert repr(plain.extend([plain.table()], [3])) == "PagedBatch(1 texts, 3 new tokens, longest 3)"


def test_storage_has_a_name():
    with pytest.raises(InvalidValue, match="did you mean 'int8'"):
        QuantizedPagedCache(3, 6, 4, 2, 8, stored="int4")


@pytest.mark.parametrize(("stored", "largest"), [("int8", 127), ("fp8", 448)])
def test_numbers_so_small_that_their_scale_is_rounded_stay_within_the_8_bits(stored, largest):
    """A scale of one bit may come out too small by a third: what it gives must not wrap around."""
    size = 1.45 * largest * torch.finfo(torch.float32).smallest_normal * 2**-23
    x = torch.tensor([[[size, -size, 0.0]]])
    numbers, scale = quantise(x, stored)
    assert numbers.float().tolist() == [[[largest, -largest, 0]]]
    assert (dequantise(numbers, scale) - x).abs().max() <= size / 2


@pytest.mark.parametrize("stored", ["int8", "fp8"])
def test_a_head_of_zeros_is_kept_as_zeros(stored):
    x = torch.ones(2, 2, 4)
    x[1, 0] = 0
    numbers, scale = quantise(x, stored)
    assert scale[1, 0] == 1 and torch.equal(dequantise(numbers, scale), x)


@pytest.mark.parametrize("kind", [None, "int8", "fp8"])
def test_the_kernels_and_torch_do_the_same_with_a_pass(kind):
    """A pass of the decoder by the interpreted kernels: the logits and every byte of the cache as by torch."""
    pytest.importorskip("triton")
    model = decoder("mistral").float()
    try:
        sizes = (3, 12, 4, 2, 8)
        caches = [PagedCache(*sizes) if kind is None else QuantizedPagedCache(*sizes, stored=kind) for _ in range(2)]
        logits, ids = [], text(11)[0]
        for cache in caches:
            tables = [cache.table(), cache.table()]
            batch = cache.extend(tables, [9, 2])
            if cache is caches[1]:
                object.__setattr__(batch, "attend", batch.attend_by_kernels)
            logits.append(model(ids, batch))
        assert relative(logits[1], logits[0]) <= 1e-5
        for layer in range(3):
            got, want = (c.read(layer, BlockTable(c.pool, c.pool.fork([0, 1, 2]), 9)) for c in reversed(caches))
            assert all(relative(a, b) <= (1e-5 if kind is None else 0.02) for a, b in zip(got, want, strict=True))
    finally:
        model.double()
        decoder.cache_clear()


def test_a_pass_within_inference_mode_and_one_without_share_the_memory():
    model, cache = decoder("llama"), small()
    table = cache.table()
    with torch.inference_mode():
        model(text(3)[0], cache.extend([table], [3]))
    model(text(2)[0], cache.extend([table], [2]))
    assert FAMILIES["llama"].num_layers == 3 and isinstance(table, BlockTable)
