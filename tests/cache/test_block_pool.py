"""The pool, its tables and the prefix caches keep every promise of the battery, and can be looked at."""

import time
from collections import Counter

import pytest
from pool_account import live
from pool_battery import CHECKS, OURS, parts_of

from minillm.cache import BlockPool, BlockTable, OutOfBlocks, PrefixCache, RadixCache
from minillm.errors import InvalidValue


@pytest.mark.parametrize("name", CHECKS)
def test_promise(name):
    CHECKS[name](OURS)


@pytest.mark.parametrize("parts", parts_of(OURS), ids=["hash chain", "tree"])
def test_random_lives_see_everything_happen(parts):
    seen = sum((live(parts, seed, steps=150).seen for seed in range(100, 106)), Counter())
    assert all(seen[what] >= 5 for what in ("hit", "evicted", "copied", "pinned", "out of blocks")), seen


def test_a_snapshot_is_plain_data_that_later_calls_do_not_change():
    pool = BlockPool(4, 16)
    blocks = pool.allocate(3)
    pool.fork(blocks[:1])
    pool.keep(1, "text")
    pool.free([1])
    snapshot = pool.snapshot()
    pool.free(pool.allocate(2))
    assert snapshot.ref_counts == (2, 0, 1, 0)
    assert (snapshot.plain, snapshot.kept, snapshot.free_order) == ((3,), (1,), (3, 1))
    assert snapshot.keys == {1: "text"} and snapshot.block_size == 16
    assert pool.snapshot() != snapshot


def test_pool_and_table_say_what_is_used_free_kept_and_shared():
    pool = BlockPool(8, 4)
    table = BlockTable(pool)
    table.append(10)
    pool.keep(0, "text")
    other = table.fork()
    other.truncate(8)
    assert repr(pool) == "BlockPool(3 of 8 used (2 shared), 5 free (0 kept), block_size=4)"
    assert repr(table) == "BlockTable(10 tokens in blocks [0, 1, 2] of 4 (2 shared))"
    other.free(), table.free()
    assert repr(pool) == "BlockPool(0 of 8 used (0 shared), 8 free (1 kept), block_size=4)"
    assert repr(table) == "BlockTable(free)"


def test_caches_say_how_much_they_know():
    pool = BlockPool(8, 2)
    tree = RadixCache(pool)
    table = BlockTable(pool)
    table.append(4)
    tree.insert([1, 2, 3, 4], table.block_ids)
    tree.pin([1, 2])
    assert repr(tree).startswith("RadixCache(1 runs of 2 blocks, 1 texts pinned, BlockPool(2 of 8")
    assert repr(PrefixCache(pool)).startswith("PrefixCache(0 texts pinned, BlockPool(2 of 8")


def test_too_few_blocks_says_how_many_there_are():
    pool = BlockPool(4, 16)
    pool.allocate(3)
    with pytest.raises(OutOfBlocks, match="1 of 4 blocks are free; got 2; free a text first"):
        pool.allocate(2)
    assert issubclass(OutOfBlocks, InvalidValue)


def test_a_table_takes_nothing_when_there_is_too_little():
    pool = BlockPool(3, 4)
    table = BlockTable(pool)
    table.append(6)
    other = table.fork()
    with pytest.raises(OutOfBlocks):
        other.append(7)
    assert (other.block_ids, other.length, pool.num_free) == ([0, 1], 6, 1)
    pool.check([table.block_ids, other.block_ids])


def test_a_text_that_copies_a_tail_while_it_is_alone_needs_no_block():
    """Forked, written on and left by one: the other writes in place, in a pool without a block to spare."""
    pool = BlockPool(2, 4)
    table = BlockTable(pool)
    table.append(2)
    other = table.fork()
    assert other.append(2) == [(0, 1)]
    assert table.append(2) == []
    assert pool.num_free == 0


def test_no_tokens_take_no_blocks():
    """Nothing is about to be written, so a half-full block that is shared needs no copy and a known one stays known."""
    pool = BlockPool(4, 4)
    table = BlockTable(pool)
    table.append(6)
    pool.keep(1, "text")
    other, before = table.fork(), pool.snapshot()
    assert other.blocks_needed(0) == 0 and other.append(0) == []
    other.free()
    assert table.append(0) == [] and pool.find("text") == 1
    table.fork()
    assert pool.snapshot() == before


def test_who_listens_hears_of_blocks_that_came_free_and_of_nothing_else():
    pool, heard = BlockPool(4, 4), []
    pool.on_free.append(heard.append)
    blocks = pool.allocate(2)
    pool.fork(blocks[:1])
    pool.free(blocks[:1]), pool.free([])
    assert heard == []
    pool.free(blocks)
    assert heard == [[1, 0]]


def test_check_sees_references_that_nobody_holds():
    pool = BlockPool(4, 16)
    held = pool.allocate(2)
    pool.check([held])
    for holders in ([], [held, held], [[0]]):
        with pytest.raises(AssertionError, match="references, holders"):
            pool.check(holders)


def test_the_cost_of_a_call_does_not_grow_with_the_pool():
    """A free list that is searched, or a dict that walks over what was taken from it, is 100 times slower here."""

    def seconds(num_blocks):
        pool = BlockPool(num_blocks, 16)
        held, start = pool.allocate(num_blocks // 2), time.process_time()
        for block in range(0, 2000, 2):
            pool.free([held[-block - 1]])
            pool.free(pool.fork(pool.allocate(2)))
        return time.process_time() - start

    assert min(seconds(200_000) for _ in range(5)) < 6 * min(seconds(5_000) for _ in range(5))
