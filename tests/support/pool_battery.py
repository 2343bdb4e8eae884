"""What a pool, its tables and its prefix caches must get right, as named checks that take the classes under test.

Each check raises AssertionError when they are wrong. Every number here was worked out by hand; what random lives show is in
`pool_account` and `pool_machine`.
"""

from types import SimpleNamespace

from pool_account import Parts, live
from pool_machine import run_machine

from minillm.cache import BlockPool, BlockTable, PrefixCache, RadixCache
from minillm.errors import InvalidType, InvalidValue

OURS = SimpleNamespace(BlockPool=BlockPool, BlockTable=BlockTable, PrefixCache=PrefixCache, RadixCache=RadixCache)
CACHES = ("PrefixCache", "RadixCache")
CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def for_each_cache(function):
    """Register a check that is run with either prefix cache."""

    def run(house):
        for name in CACHES:
            function(house, getattr(house, name))

    CHECKS[function.__name__] = run
    return function


def refused(call):
    """The call must raise one of our errors; any other is an accident."""
    try:
        call()
    except (InvalidValue, InvalidType):
        return
    raise AssertionError("a wrong call was accepted")


def same(got, want):
    assert got == want, f"want {want}, got {got}"


def write(house, pool, cache, tokens, salt=None):
    """Compute a text as an engine would, up to its end -> its table, the text kept."""
    hit = cache.match(tokens, salt=salt)
    table = house.BlockTable(pool, pool.fork(hit), len(hit) * pool.block_size)
    table.append(len(tokens) - table.length)
    cache.insert(tokens, table.block_ids, salt=salt)
    return table


@check
def a_block_is_lent_with_one_reference(house):
    pool = house.BlockPool(4, 2)
    same(pool.allocate(3), [0, 1, 2])
    same([pool.ref_count(block) for block in range(4)], [1, 1, 1, 0])
    same((pool.num_used, pool.num_free, pool.num_kept), (3, 1, 0))
    same(pool.allocate(0), [])


@check
def nobody_is_lent_a_block_in_use(house):
    pool = house.BlockPool(4, 2)
    held = pool.allocate(2)
    pool.free(pool.fork(held))
    same(set(pool.allocate(2)) & set(held), set())
    refused(lambda: pool.allocate(1))


@check
def the_end_of_a_text_is_lent_first(house):
    pool = house.BlockPool(4, 2)
    pool.free(pool.allocate(4))
    same(pool.allocate(4), [3, 2, 1, 0])


@check
def plain_blocks_are_lent_before_kept_ones(house):
    pool = house.BlockPool(4, 2)
    blocks = pool.allocate(4)
    pool.keep(1, "one")
    pool.keep(2, "two")
    pool.free(blocks)
    same(pool.snapshot().free_order, (3, 0, 2, 1))
    same(pool.allocate(3), [3, 0, 2])
    same((pool.find("one"), pool.find("two"), pool.key_of(2)), (1, None, None))


@check
def the_least_recently_used_is_lost_first(house):
    pool = house.BlockPool(3, 2)
    blocks, lost = pool.allocate(3), []
    pool.on_reuse.append(lost.append)
    for block in blocks:
        pool.keep(block, f"text {block}")
        pool.free([block])
    pool.free(pool.fork([0]))
    same(pool.allocate(2), [1, 2])
    same(lost, [1, 2])
    same(pool.find("text 0"), 0)


@check
def a_kept_block_comes_back_to_life(house):
    pool = house.BlockPool(2, 2)
    blocks = pool.allocate(2)
    pool.keep(0, "text")
    pool.free(blocks)
    same(pool.fork([pool.find("text")]), [0])
    same((pool.ref_count(0), pool.num_free, pool.num_kept), (1, 1, 0))
    same(pool.allocate(1), [1])
    pool.check([[0], [1]])


@check
def wrong_calls_change_nothing(house):
    pool = house.BlockPool(4, 2)
    held = pool.allocate(2)
    pool.keep(0, "text")
    before = pool.snapshot()
    for ids in ([2], [4], [-1], [0, 0], [0, 2], [True], ["0"], [None], [1.0], 0, "01", None):
        refused(lambda ids=ids: pool.free(ids))
    for ids in ([2], [4], [-1], [0, 0], [1, 3], [True], 0, None):
        refused(lambda ids=ids: pool.fork(ids))
    for count in (3, -1, True, 1.0, "1", None):
        refused(lambda count=count: pool.allocate(count))
    for block, key in ((2, "free"), (1, "text"), (0, "another"), (9, "outside"), (1, []), (1, None)):
        refused(lambda block=block, key=key: pool.keep(block, key))
    for call in (pool.ref_count, pool.key_of, pool.forget):
        refused(lambda call=call: call(4))
    refused(lambda: pool.find([]))
    same(pool.snapshot(), before)
    pool.check([held])
    for sizes in ((0, 2), (2, 0), (2.0, 2), (True, 2)):
        refused(lambda sizes=sizes: house.BlockPool(*sizes))


@check
def a_table_has_the_blocks_it_needs(house):
    pool = house.BlockPool(8, 4)
    table = house.BlockTable(pool)
    for count, blocks in ((3, 1), (1, 1), (0, 1), (1, 2), (8, 4)):
        needed, before = table.blocks_needed(count), pool.num_free
        same(table.append(count), [])
        same((len(table.block_ids), before - pool.num_free), (blocks, needed))
    same(table.slots(2, 6), [2, 3, 4, 5])
    pool.free(pool.allocate(2))
    table.truncate(4)
    same((table.block_ids, pool.num_free), ([0], 7))
    table.truncate(0)
    same((table.block_ids, table.slots(0, 0), pool.num_free), ([], [], 8))


@check
def slots_follow_the_blocks(house):
    pool = house.BlockPool(8, 3)
    blocks = pool.allocate(8)
    table = house.BlockTable(pool, [blocks[5], blocks[0], blocks[7]], 8)
    same(table.slots(0, 8), [15, 16, 17, 0, 1, 2, 21, 22])
    same(table.slots(2, 4), [17, 0])
    same(table.slots(4, 5), [1])


@check
def a_shared_tail_is_copied_before_it_is_written(house):
    pool = house.BlockPool(8, 4)
    first = house.BlockTable(pool)
    first.append(6)
    second = first.fork()
    same((first.blocks_needed(1), second.blocks_needed(3)), (1, 2))
    same(second.append(1), [(1, 2)])
    same((first.block_ids, second.block_ids), ([0, 1], [0, 2]))
    same(first.append(1), [])
    third = first.fork()
    third.truncate(4)
    same(third.append(1), [])
    pool.check([first.block_ids, second.block_ids, third.block_ids])
    for table in (first, second, third):
        table.free()
    pool.check([])


@for_each_cache
def a_known_tail_is_forgotten_before_it_is_written(house, cache_class):
    pool = house.BlockPool(2, 4)
    cache = cache_class(pool)
    table = write(house, pool, cache, [1] * 8)
    table.truncate(6)
    same(table.append(1), [])
    same(cache.match([1] * 12), [0])
    pool.check([table.block_ids])


@check
def wrong_calls_of_a_table_change_nothing(house):
    pool = house.BlockPool(4, 4)
    table = house.BlockTable(pool)
    table.append(6)
    for count in (11, -1, True, 1.0, None):
        refused(lambda count=count: table.append(count))
    for length in (7, -1, True, None):
        refused(lambda length=length: table.truncate(length))
    for span in ((0, 7), (3, 2), (-1, 2), (0, None)):
        refused(lambda span=span: table.slots(*span))
    for ids, length in (([0], 5), ([0, 1], 4), ([3], 2), ([0, 0], 8), ([0], -1), ((), 1)):
        refused(lambda ids=ids, length=length: house.BlockTable(pool, ids, length))
    same((table.block_ids, table.length, pool.num_free), ([0, 1], 6, 2))
    table.free()
    for call in (table.free, table.fork, lambda: table.append(1), lambda: table.truncate(0), lambda: table.slots(0, 0)):
        refused(call)
    same((table.is_free, pool.num_free), (True, 4))


@for_each_cache
def a_text_is_found_as_far_as_it_is_the_same(house, cache_class):
    pool = house.BlockPool(16, 2)
    cache = cache_class(pool)
    write(house, pool, cache, [1, 2, 3, 4, 5, 6, 7])
    write(house, pool, cache, [1, 2, 3, 4, 9, 9, 9, 9])
    same(cache.match([1, 2, 3, 4, 5, 6, 7, 8, 9]), [0, 1, 2])
    same(cache.match([1, 2, 3, 4, 9, 9, 9, 9, 9]), [0, 1, 4, 5])
    same(cache.match([1, 2, 3, 4, 9, 9, 0, 0, 0]), [0, 1, 4])
    same(cache.match([1, 2, 9, 9, 9, 9, 9]), [0])
    same(cache.match([2, 1, 3, 4, 5]), [])
    same(cache.match([]), [])
    cache.check()


@for_each_cache
def a_hit_leaves_a_token_to_compute(house, cache_class):
    pool = house.BlockPool(8, 2)
    cache = cache_class(pool)
    write(house, pool, cache, [1, 2, 3, 4])
    same([len(cache.match([1, 2, 3, 4, 5][:n])) for n in range(6)], [0, 0, 0, 1, 1, 2])


@for_each_cache
def only_full_blocks_are_known(house, cache_class):
    pool = house.BlockPool(8, 4)
    cache = cache_class(pool)
    table = write(house, pool, cache, [1, 2, 3, 4, 5, 6])
    same([pool.key_of(block) is not None for block in table.block_ids], [True, False])
    same(cache.match([1, 2, 3, 4, 5, 6, 0, 0, 0, 0]), [0])
    same(cache.match([1, 2, 3, 4, 5, 6, 7, 8, 9]), [0])


@for_each_cache
def the_same_block_behind_other_words_is_another(house, cache_class):
    """Its keys and values depend on every token before it."""
    pool = house.BlockPool(8, 2)
    cache = cache_class(pool)
    write(house, pool, cache, [1, 1, 7, 7, 3])
    write(house, pool, cache, [2, 2, 4])
    same(cache.match([2, 2, 7, 7, 0]), [3])
    same(cache.match([7, 7, 0]), [])


@for_each_cache
def a_salt_sets_texts_apart(house, cache_class):
    pool = house.BlockPool(16, 2)
    cache = cache_class(pool)
    tokens = [1, 2, 3, 4, 5]
    tables = {salt: write(house, pool, cache, tokens, salt) for salt in (None, "", "mine", "yours")}
    for salt, table in tables.items():
        same(cache.match(tokens, salt=salt), table.block_ids[:2])
    same(cache.match(tokens, salt="nobody's"), [])


@for_each_cache
def a_block_lent_again_is_no_longer_found(house, cache_class):
    pool = house.BlockPool(4, 2)
    cache = cache_class(pool)
    write(house, pool, cache, [1, 2, 3, 4, 5, 6]).free()
    same(pool.allocate(2), [3, 2])
    same(cache.match([1, 2, 3, 4, 5, 6, 7]), [0, 1])
    same(pool.allocate(1), [1])
    same(cache.match([1, 2, 3, 4, 5, 6, 7]), [0])
    cache.check()


@for_each_cache
def the_first_of_two_equal_blocks_is_kept(house, cache_class):
    """Two equal prompts computed side by side: neither table changes, and one block a place is known."""
    pool = house.BlockPool(8, 2)
    cache = cache_class(pool)
    tables = [house.BlockTable(pool) for _ in range(2)]
    for table in tables:
        table.append(4)
    for table in tables:
        cache.insert([1, 2, 3, 4], table.block_ids)
    same([table.block_ids for table in tables], [[0, 1], [2, 3]])
    same(cache.match([1, 2, 3, 4, 5]), [0, 1])
    tables[0].free()
    same(set(pool.allocate(4)) & {0, 1, 2, 3}, set())
    same(cache.match([1, 2, 3, 4, 5]), [0, 1])


@for_each_cache
def a_text_that_lost_its_middle_can_be_kept_again(house, cache_class):
    """The middle belonged to a text that ended; the rest is still in use, and no longer reached."""
    pool = house.BlockPool(6, 2)
    cache = cache_class(pool)
    tables = [house.BlockTable(pool) for _ in range(2)]
    for table, count in zip(tables, (4, 6), strict=True):
        table.append(count)
    for table in tables:
        cache.insert([1, 2, 3, 4, 5, 6][: table.length], table.block_ids)
    same(cache.match([1, 2, 3, 4, 5, 6, 7]), [0, 1, 4])
    tables[0].free()
    same(pool.allocate(2), [5, 1])
    same(cache.match([1, 2, 3, 4, 5, 6, 7]), [0])
    cache.insert([1, 2, 3, 4, 5, 6], tables[1].block_ids)
    same(cache.match([1, 2, 3, 4, 5, 6, 7]), [0, 3, 4])
    cache.check()


@for_each_cache
def a_pinned_text_stays(house, cache_class):
    pool = house.BlockPool(4, 2)
    cache = cache_class(pool)
    write(house, pool, cache, [1, 2, 3, 4, 5]).free()
    same(cache.pin([1, 2, 3, 4, 5]), [0, 1])
    same(cache.pinned, [[0, 1]])
    refused(lambda: pool.allocate(3))
    pool.free(pool.allocate(2))
    same(cache.match([1, 2, 3, 4, 9]), [0, 1])
    for wrong in ([1, 2, 3, 4], [1], [], [2, 2], [1, 2, 3, 4, 9, 9]):
        refused(lambda wrong=wrong: cache.pin(wrong))
        refused(lambda wrong=wrong: cache.unpin([8, *wrong]))
    cache.check()
    cache.unpin([1, 2, 3, 4])
    same((pool.num_free, pool.num_kept, cache.match([1, 2, 3, 4, 9])), (4, 2, [0, 1]))
    refused(lambda: cache.unpin([1, 2, 3, 4]))


@for_each_cache
def wrong_calls_of_a_cache_change_nothing(house, cache_class):
    pool = house.BlockPool(8, 2)
    cache = cache_class(pool)
    table = write(house, pool, cache, [1, 2, 3, 4])
    other = house.BlockTable(pool)
    other.append(4)
    before = pool.snapshot()
    for tokens in ("abcd", b"12345678", [1.0, 2.0], [None], 3, None, [2**70], ["1"]):
        refused(lambda tokens=tokens: cache.match(tokens))
        refused(lambda tokens=tokens: cache.insert(tokens, table.block_ids))
    refused(lambda: cache.match([1, 2, 3], salt=7))
    for ids in ([2], [2, 7], [2, 2], [2, 99], None, [1, 0], [2, 0]):
        refused(lambda ids=ids: cache.insert([8, 8, 9, 9], ids))
    refused(lambda: cache_class(None))
    same(pool.snapshot(), before)
    same(cache.match([8, 8, 9, 9, 0]), [])
    cache.check()
    pool.check([table.block_ids, other.block_ids])


def parts_of(house):
    """The classes for an account: with the hash chain comparing tokens at every hit, and with the tree."""
    chain = Parts(lambda pool: house.PrefixCache(pool, check=True), house.BlockPool, house.BlockTable)
    return chain, Parts(house.RadixCache, house.BlockPool, house.BlockTable)


@check
def random_lives_with_a_hash_chain(house):
    for seed in range(20):
        live(parts_of(house)[0], seed)


@check
def random_lives_with_a_tree(house):
    for seed in range(20):
        live(parts_of(house)[1], seed)


@check
def drawn_lives_with_a_hash_chain(house):
    run_machine(parts_of(house)[0], shrink=house is OURS)


@check
def drawn_lives_with_a_tree(house):
    run_machine(parts_of(house)[1], shrink=house is OURS)
