"""Passes in odd order: two at once, one that stopped half-way, one whose texts have since been freed, cut or copied."""

from itertools import product

import pytest
import torch
from cached_texts import decoder, relative, text

from minillm.cache import BlockTable, OutOfBlocks, PagedCache, QuantizedPagedCache
from minillm.errors import InvalidValue


def small(blocks=9, P=4):
    return PagedCache(3, blocks, P, 2, 8, dtype=torch.float64, check=True)


def freed(cache, table):
    table.free()


def freed_and_lent_to_another(cache, table):
    table.free()
    cache.extend([cache.table()], [6])


def cut(cache, table):
    table.truncate(5)


def cut_and_grown_elsewhere(cache, table):
    table.truncate(2)
    cache.extend([cache.table()], [4])
    cache.extend([table], [4])


def moved_off_a_shared_block(cache, table):
    table.fork()
    cache.extend([table], [1])


@pytest.mark.parametrize(
    "change", [freed, freed_and_lent_to_another, cut, cut_and_grown_elsewhere, moved_off_a_shared_block]
)
def test_a_batch_whose_table_moved_on_writes_nothing(change):
    """Its slots may be another text's by now."""
    cache = small()
    table = cache.table()
    batch = cache.extend([cache.table(), table], [1, 6])
    change(cache, table)
    before = cache.k.nan_to_num(nan=-7.0)
    with pytest.raises(InvalidValue, match="still have the blocks it was made for; got text 1: BlockTable"):
        decoder("llama")(text(7)[0], batch)
    assert torch.equal(cache.k.nan_to_num(nan=-7.0), before)


def test_a_batch_whose_text_only_grew_or_was_forked_is_still_good():
    model, cache, ids = decoder("llama"), small(), text(9)[0]
    table = cache.table()
    first, second = cache.extend([table], [6]), cache.extend([table], [3])
    table.fork()
    both = torch.cat((model(ids[:6], first), model(ids[6:], second)))
    assert relative(both, model(ids[None])[0]) <= 1e-12


def test_two_batches_at_once_do_not_mix():
    model, cache = decoder("llama"), small()
    batches = [cache.extend([cache.table()], [n]) for n in (6, 5)]
    for batch, seed in reversed(list(zip(batches, (1, 2), strict=True))):
        ids = text(batch.lengths[0], seed=seed)
        assert relative(model(ids[0], batch), model(ids)[0]) <= 1e-12


def test_a_pass_that_stopped_half_way_can_be_run_again_or_taken_back():
    model, cache, ids = decoder("llama"), small(), text(9)[0]
    table = cache.table()
    model(ids[:5], cache.extend([table], [5]))
    batch, real = cache.extend([table], [4]), model.layers[1].forward

    def stop(*args):
        raise KeyboardInterrupt

    model.layers[1].forward = stop
    try:
        with pytest.raises(KeyboardInterrupt):
            model(ids[5:], batch)
    finally:
        model.layers[1].forward = real
    want = model(ids[None])[0, 5:]
    assert relative(model(ids[5:], batch), want) <= 1e-12
    table.truncate(5)
    assert relative(model(ids[5:], cache.extend([table], [4])), want) <= 1e-12


@pytest.mark.parametrize("P", [1, 3, 4])
def test_forks_of_forks_truncated_and_grown_in_a_pool_that_runs_out(P):
    """Every text that is left is what it would be alone, whichever fork ran out of blocks."""
    model = decoder("qwen2 window")
    cache = small(blocks=24 // P, P=P)
    ids = text(6, seed=9)[0].tolist()
    first = cache.table()
    model(torch.tensor(ids), cache.extend([first], [6]))
    texts = [(first, ids)]
    for step, cut_to in enumerate((6, 5, 3, 0, 6)):
        table, known = texts[-1][0].fork(), texts[-1][1]
        table.truncate(min(cut_to, table.length))
        known, new = known[: table.length], text(4, seed=step)[0].tolist()
        before = cache.pool.snapshot(), table.length
        try:
            batch = cache.extend([table], [4])
        except OutOfBlocks:
            assert before == (cache.pool.snapshot(), table.length)
            table.free()
            continue
        got, known = model(torch.tensor(new), batch), known + new
        texts.append((table, known))
        assert relative(got, model(torch.tensor([known]))[0, -4:]) <= 1e-12
    cache.pool.check([t.block_ids for t, _ in texts])
    assert len(texts) > 2
    while cache.pool.num_free < 2 * len(texts):
        texts.pop()[0].free()
    out = model(torch.arange(len(texts)), cache.extend([t for t, _ in texts], [1] * len(texts)))
    for b, (_, known) in enumerate(texts):
        assert relative(out[b], model(torch.tensor([[*known, b]]))[0, -1]) <= 1e-12


@pytest.mark.parametrize("P", [1, 2, 4])
def test_a_pass_takes_all_or_nothing_however_few_blocks_are_left(P):
    """Two texts, each with a sibling on its blocks: what is left decides, and never for one of them alone."""
    refused = taken = 0
    for length, counts, spare in product(range(6), product((1, 2, 3, 5), repeat=2), range(5)):
        cache = PagedCache(1, 2 * -(-length // P) + spare, P, 1, 1) if length or spare else None
        if cache is None:
            continue
        tables = [cache.table(), cache.table()]
        if length:
            cache.extend(tables, [length, length])
        siblings = [t.fork() for t in tables]
        needed = sum(t.blocks_needed(n) for t, n in zip(tables, counts, strict=True))
        before = cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables]
        try:
            cache.extend(tables, counts)
            taken += 1
            assert needed <= spare and cache.pool.num_free == spare - needed
        except OutOfBlocks:
            refused += 1
            assert needed > spare
            assert before == (cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables])
        cache.pool.check([t.block_ids for t in (*tables, *siblings)])
    assert min(refused, taken) > 20


@pytest.mark.parametrize("outside", [0, 1])
def test_siblings_in_one_pass_leave_a_tail_that_a_third_still_needs(outside):
    """Two texts share a half-full block: the second keeps it, unless somebody outside the pass has it too."""
    for spare in range(3):
        cache = PagedCache(1, 1 + spare, 4, 1, 1)
        table = cache.table()
        cache.extend([table], [2])
        both, others = [table, table.fork()], [table.fork() for _ in range(outside)]
        before = cache.pool.snapshot()
        if spare < 1 + outside:
            with pytest.raises(OutOfBlocks):
                cache.extend(both, [1, 1])
            assert before == cache.pool.snapshot() and [t.length for t in both] == [2, 2]
        else:
            cache.extend(both, [1, 1])
            assert cache.pool.num_free == spare - 1 - outside
        cache.pool.check([t.block_ids for t in both + others])


def test_checking_sees_two_texts_that_hold_one_reference():
    """A table made of another's blocks without a fork: the pool counts one reference, and both would write to it."""
    cache = small()
    table = cache.table()
    cache.extend([table], [2])
    twin = BlockTable(cache.pool, table.block_ids, 2)
    with pytest.raises(AssertionError, match="two texts are about to write to one block"):
        cache.extend([table, twin], [1, 1])


@pytest.mark.parametrize("kind", [PagedCache, QuantizedPagedCache])
def test_a_known_block_that_is_lent_again_reads_as_nan(kind):
    """Free, it kept its text; handed out, it must not show it to the next who has it."""
    cache = kind(1, 2, 4, 1, 1, check=True)
    table, one = cache.table(), torch.ones(8, 1, 1)
    batch = cache.extend([table], [8])
    cache.write(0, one, one, batch.slot_mapping)
    for block in (0, 1):
        cache.pool.keep(block, block)
    table.free()
    assert bool((cache.read(0, BlockTable(cache.pool, cache.pool.fork([0]), 4))[0] == 1).all())
    other = cache.table()
    cache.extend([other], [4])
    assert other.block_ids == [1] and bool(cache.read(0, other)[0].isnan().all())
