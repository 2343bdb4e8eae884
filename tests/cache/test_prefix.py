"""What prefix caches do beyond the promises they share: how much they hash, what they compare, and how the tree looks."""

import pytest

from minillm.cache import BlockPool, BlockTable, PrefixCache, RadixCache, prefix
from minillm.cache.prefix import GrowingText, as_bytes, block_digests
from minillm.errors import InvalidType, InvalidValue


def known(cache_class, texts, block_size=2, **options):
    """A cache that knows these texts, computed one after the other and still in use."""
    pool = BlockPool(1024, block_size)
    cache = cache_class(pool, **options)
    for tokens in texts:
        hit = cache.match(tokens)
        table = BlockTable(pool, pool.fork(hit), len(hit) * block_size)
        table.append(len(tokens) - table.length)
        cache.insert(tokens, table.block_ids)
    return cache


@pytest.fixture
def hashed(monkeypatch):
    """Every piece that is hashed from now on."""
    pieces, real = [], prefix.sha256
    monkeypatch.setattr(prefix, "sha256", lambda data: (pieces.append(data), real(data))[1])
    return pieces


def test_a_lookup_hashes_each_known_block_once_and_stops_at_the_first_unknown(hashed):
    text = list(range(8192))
    cache = known(PrefixCache, [text], block_size=16)
    for tokens, blocks in ((text, 511), (text[:100] + [-1] * 8092, 6), ([-1, *text], 0)):
        hashed.clear()
        assert len(cache.match(tokens)) == blocks
        assert len(hashed) <= 1 + blocks + 1
        assert sum(map(len, hashed)) <= (blocks + 1) * (32 + 16 * 8)


def test_the_tree_hashes_nothing(hashed):
    cache = known(RadixCache, [list(range(100))])
    assert len(cache.match(list(range(100)))) == 49
    assert hashed == []


def test_digests_follow_their_parents():
    data = as_bytes([1, 2, 1, 2])
    (first, root, tokens), (second, parent, same_tokens) = block_digests(data, 2, 2)
    assert tokens == same_tokens and parent == first
    assert len({first, second, root}) == 3
    assert next(block_digests(data, 1, 2, salt="user"))[0] != first


def test_under_checking_a_hit_compares_the_tokens(monkeypatch):
    """With a hash that says the same of everything, another text's blocks are found; checking sees it."""

    class Same:
        def __init__(self, data):
            pass

        def digest(self):
            return b"same"

    monkeypatch.setattr(prefix, "sha256", Same)
    assert known(PrefixCache, [[1, 2, 3]]).match([7, 8, 9]) == [0]
    with pytest.raises(AssertionError, match="doesn't hold"):
        known(PrefixCache, [[1, 2, 3]], check=True).match([7, 8, 9])


def test_a_run_parts_where_texts_do():
    cache = known(RadixCache, [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 9], [1, 2, 0, 0], [8, 8]])
    cache.check()
    runs = [(node.token_ids, node.block_ids) for node in cache.roots[None].walk() if node.parent]
    expected = [([1, 2], [0]), ([3, 4], [1]), ([5, 6], [2]), ([9, 9], [3]), ([0, 0], [4]), ([8, 8], [5])]
    assert runs == expected


def test_a_growing_text_is_one_run():
    pool = BlockPool(8, 2)
    cache, table, tokens = RadixCache(pool), BlockTable(pool), []
    for token in range(9):
        tokens.append(token)
        table.append(1)
        cache.insert(tokens, table.block_ids)
    [run] = [node for node in cache.roots[None].walk() if node.parent]
    assert (run.token_ids, run.block_ids) == (list(range(8)), [0, 1, 2, 3])


@pytest.mark.parametrize("kind", [PrefixCache, RadixCache])
def test_a_salt_without_letters_is_still_a_salt(kind):
    pool = BlockPool(4, 2)
    cache, blocks = kind(pool), pool.allocate(1)
    cache.insert([1, 2], blocks, salt="")
    assert cache.match([1, 2, 3]) == [] and cache.match([1, 2, 3], salt="") == blocks


def test_what_a_lost_block_takes_with_it_is_lent_from_its_end():
    """As when a text is freed: the end of what can't be found any more goes before what stood nearer the beginning."""
    pool = BlockPool(6, 2)
    cache, table = RadixCache(pool), BlockTable(pool)
    table.append(12)
    cache.insert(range(12), table.block_ids)
    table.free()
    pool.forget(0)
    assert pool.snapshot().free_order == (0, 5, 4, 3, 2, 1)


def test_a_salt_nobody_uses_any_more_leaves_nothing_behind():
    pool = BlockPool(4, 2)
    cache, table = RadixCache(pool), BlockTable(pool)
    table.append(4)
    cache.insert([1, 2, 3, 4], table.block_ids, salt="user")
    table.free()
    pool.free(pool.allocate(4))
    assert cache.roots == {}
    cache.check()


def test_a_chat_finds_its_own_history():
    """Each turn's prompt is all that was said so far, so only the new words are computed."""
    pool = BlockPool(64, 4)
    cache, history, computed = PrefixCache(pool), [], []
    for turn in range(4):
        history = [*history, *range(100 * turn, 100 * turn + 10)]
        hit = cache.match(history)
        table = BlockTable(pool, pool.fork(hit), 4 * len(hit))
        computed.append(len(history) - table.length)
        table.append(computed[-1])
        cache.insert(history, table.block_ids)
        table.free()
    assert computed == [10, 12, 10, 12]


@pytest.mark.parametrize("kind", [PrefixCache, RadixCache])
@pytest.mark.parametrize("salt", [None, "user"])
def test_a_text_that_grows_is_found_like_one_that_was_there(kind, salt):
    """Token by token, by its own digests, it is known as it would be if it were inserted whole; and it finds what it should."""
    pool = BlockPool(64, 3)
    cache, other = kind(pool), kind(pool_twin := BlockPool(64, 3))
    tokens, table, twin = [], BlockTable(pool), BlockTable(pool_twin)
    text = GrowingText(tokens, salt=salt)
    for i in range(30):
        tokens.append(i % 4)
        table.append(1), twin.append(1)
        cache.insert_growing(text, table.block_ids, len(tokens))
        other.insert(tokens, twin.block_ids, salt=salt)
        assert text.num_kept == len(tokens) // 3
        for asked in (tokens, [*tokens, 9, 9, 9], tokens[::-1]):
            hit = cache.match(asked, salt=salt)
            assert hit == other.match(asked, salt=salt) == cache.match_growing(GrowingText(list(asked), salt=salt))
        assert cache.match_growing(text) == table.block_ids[: (len(tokens) - 1) // 3]
    assert cache.match(tokens, salt="another") == []


def test_a_growing_text_hashes_each_block_once(hashed):
    """However long it is, and however often it is looked up or loses its blocks."""
    pool = BlockPool(600, 4)
    cache, table, tokens = PrefixCache(pool), BlockTable(pool), list(range(2000))
    text = GrowingText(tokens)
    assert cache.match_growing(text) == [] and len(hashed) <= 2
    table.append(2000)
    cache.insert_growing(text, table.block_ids, 2000)
    assert len(hashed) == 1 + 500
    for _ in range(4):
        hashed.clear()
        tokens += [7] * 4
        table.append(4)
        cache.insert_growing(text, table.block_ids, len(tokens))
        assert len(hashed) == 1
        cache.insert_growing(text, table.block_ids, len(tokens))
    hashed.clear()
    table.free()
    text.num_kept = 0
    found = cache.match_growing(text)
    assert len(found) == 503 and hashed == []
    cache.insert_growing(text, pool.fork(found), 503 * 4)
    assert text.num_kept == 503 and hashed == []


def test_only_the_blocks_that_are_certain_are_known():
    pool = BlockPool(8, 2)
    cache, table = PrefixCache(pool), BlockTable(pool)
    table.append(8)
    text = GrowingText(list(range(8)))
    cache.insert_growing(text, table.block_ids, 5)
    assert len(pool.snapshot().keys) == 2 and len(cache.match(range(9))) == 2


def test_a_growing_text_needs_blocks_in_use():
    cache = PrefixCache(BlockPool(8, 2))
    with pytest.raises(InvalidValue, match="in use"):
        cache.insert_growing(GrowingText([1, 2]), [3], 2)
    with pytest.raises(InvalidValue, match="2 full blocks must have all of them; got 1 blocks"):
        cache.insert_growing(GrowingText([1, 2, 3, 4]), [3], 4)
    with pytest.raises(InvalidType, match="salt"):
        GrowingText([1], salt=3)
