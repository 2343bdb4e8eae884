"""What paged attention in torch and the paged cache are held to, as named checks that take a house (see paged_house).

Blocks are dealt out in random order and everything that is nobody's is NaN. In float64, equal means to 1e-12; a text is the
same alone and in company, whatever the block size, however small the tiles, and whoever else has its beginning.
"""

import random
from collections import OrderedDict
from itertools import product

import torch
from cached_texts import FAMILIES, decoder, relative, text
from paged_cases import make_case, quantize

from minillm.attention.naive_paged import naive_paged_attention
from minillm.cache import BlockTable, PrefixCache

CHECKS = {}
DECODE = ((1, 150), (1, 18), (1, 1), (1, 64), (1, 65), (1, 17))
MIXED = ((1, 132), (5, 18), (29, 75), (0, 7), (0, 0), (1, 1), (12, 12), (1, 18))
SMALL = {"TILE_BYTES": 2**12, "GROUP_BYTES": 2**13, "SCORE_BYTES": 2**12}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def compare(house, case, where="", **options):
    """float64 against the oracle, out and (if asked) lse."""
    got = house.paged_attention(*case.call, **options)
    want = naive_paged_attention(*case.call, **options)
    for name, a, b in zip(("out", "lse"), *((x if isinstance(x, tuple) else (x,)) for x in (got, want)), strict=False):
        error = (a - b).abs().max().item() if a.numel() else 0.0
        assert error <= 1e-12, f"{where} {name} {case.texts} {options}: off by {error:.1e}"


def cases(**options):
    for texts, (H, G) in product((DECODE, MIXED), ((4, 2), (3, 3), (8, 1))):
        yield make_case(texts, H=H, G=G, D=16, dtype=torch.float64, **options)


@check
def values(house):
    """Decoding, and a mixture of all lengths, with every grouping of heads."""
    for case in cases():
        compare(house, case)
        compare(house, case, scale=-0.3)


@check
def small_tiles(house):
    """Texts of many tiles, and calls of few texts: the same answer."""
    for sizes in (SMALL, {"TILE_BYTES": 2**10}, {"GROUP_BYTES": 0}):
        with house.tiles(**sizes):
            for case in cases(P=8):
                compare(house, case, sizes)
                compare(house, case, sizes, window=30)


@check
def windows(house):
    """Windows that begin within a page, at its edge, and before the text."""
    for case, window in product(cases(P=8), (1, 7, 8, 9, 17, 64, 1000)):
        compare(house, case, window=window)
    for window in (3, 20):  # alike in length, so that nothing but the window has to be hidden
        compare(house, make_case(((1, 45),) * 3, P=8, H=2, D=16, dtype=torch.float64), window=window)


@check
def every_option(house):
    """Softcap, sinks and the lse, which take another way, over one tile and over many."""
    for sizes in ({}, SMALL):
        with house.tiles(**sizes):
            for case in cases():
                sinks = torch.linspace(2.0, -1.5, case.q.shape[1], dtype=torch.float64)
                for options in ({"softcap": 3.0}, {"sinks": sinks, "window": 20}, {"window": 9, "softcap": 2.0}):
                    compare(house, case, sizes, return_lse=True, **options)


@check
def rising_keys(house):
    """Every tile brings a larger maximum than the one before, so that the running one must be kept up."""
    with house.tiles(**SMALL):
        case = make_case(((1, 150), (3, 140)), P=8, H=2, D=16, dtype=torch.float64)
        for b, k in enumerate(case.k):
            slots = torch.arange(len(k))
            grown = k * torch.linspace(0.1, 6.0, len(k), dtype=k.dtype)[:, None, None]
            case.k_cache[case.block_table[b][slots // 8].long(), slots % 8] = grown
        compare(house, case)
        compare(house, case, return_lse=True)


@check
def blocks_in_a_row(house):
    """Texts whose blocks lie one behind the other are read in place; one page out of order, and they must not be."""
    for texts in (((1, 60),), ((60, 60),), ((9, 60),), ((1, 60), (1, 3), (4, 9))):
        case = make_case(texts, P=8, H=4, G=2, D=16, dtype=torch.float64)
        for swapped in (False, True):
            caches = {"k_cache": case.k_cache.clone(), "v_cache": case.v_cache.clone()}
            table, at = case.block_table.clone(), 0
            for b, (_, S) in enumerate(texts):
                count = -(-S // 8)
                blocks = torch.arange(at, at + count)
                if swapped and count > 3:
                    blocks[[1, 2]] = blocks[[2, 1]]
                for name in caches:
                    caches[name][blocks] = getattr(case, name)[case.block_table[b, :count].long()]
                table[b, :count], at = blocks.int(), at + count
            for name in caches:
                caches[name][at:] = torch.nan
            for window in (None, 20):
                compare(house, case.but(block_table=table, **caches), "swapped" if swapped else "", window=window)


@check
def block_sizes(house):
    """The block size changes no answer."""
    for texts in (DECODE, MIXED):
        first = None
        for P in (8, 16, 32, 64, 128, 256, 5):
            case = make_case(texts, P=P, H=4, G=2, D=16, dtype=torch.float64)
            out = house.paged_attention(*case.call, window=50)
            first = out if first is None else first
            assert relative(out, first) <= 1e-12, f"blocks of {P}"


@check
def alone_or_in_company(house):
    """A text's answer does not depend on who else is in the call."""
    for texts in (DECODE, MIXED):
        case = make_case(texts, H=4, G=2, D=16, dtype=torch.float64)
        together = house.paged_attention(*case.call)
        for b, (rows, (L, _)) in enumerate(zip(case.rows, case.texts, strict=True)):
            if L:
                only, ends = slice(b, b + 1), torch.tensor([0, L], dtype=torch.int32)
                tables = (case.block_table[only], case.seq_lens[only], ends, L)
                alone = house.paged_attention(case.q[rows], case.k_cache, case.v_cache, *tables)
                assert relative(together[rows], alone) <= 1e-12, f"text {b}"


@check
def eight_bits(house):
    """int8 and float8 caches are their numbers times their scales, token by token and head by head."""
    for kind, sizes in product((torch.int8, torch.float8_e4m3fn), ({}, SMALL)):
        with house.tiles(**sizes):
            for case in cases(P=8):
                small, scales = quantize(case, kind)
                compare(house, small, kind, **scales)
                compare(house, small, kind, window=9, **scales)


def shuffled(cache, seed=0):
    """The cache, its free blocks to be handed out in random order."""
    order = list(range(cache.pool.num_blocks))
    random.Random(seed).shuffle(order)
    cache.pool._plain = OrderedDict.fromkeys(order)
    return cache


def cache_for(house, config, blocks=60, P=4, kind=None, **options):
    sizes = (config.num_layers, blocks, P, config.num_kv_heads, config.head_dim)
    options = {"dtype": torch.float64, "check": True, **options}
    return shuffled(house.PagedCache(*sizes, **options) if kind is None else kind(*sizes, **options))


PASSES = ((5, 1, 9), (1, 1, 1), (7, 1, 1), (1, 1, 1), (2, 9, 1), (1, 1, 1), (1, 11, 1), (1, 1, 1))


def run_passes(model, cache, passes=PASSES):
    """Texts read and written in these passes, all at once -> tables, and each text's logits so far."""
    tables = [cache.table() for _ in passes[0]]
    logits, done = [[] for _ in tables], [0] * len(tables)
    for counts in passes:
        ids = [text(40, seed=b)[0, at : at + n] for b, (at, n) in enumerate(zip(done, counts, strict=True))]
        out = model(torch.cat(ids), cache.extend(tables, counts)).split(counts)
        for b, part in enumerate(out):
            logits[b].append(part)
            done[b] += counts[b]
    return tables, [torch.cat(parts) for parts in logits]


@check
def every_family(house):
    """Prompts in chunks, tokens one by one, and both in one pass: the logits of the model that reads whole texts."""
    for name in FAMILIES:
        model = decoder(name)
        _, logits = run_passes(model, cache_for(house, model.config))
        for b, got in enumerate(logits):
            want = model(text(40, seed=b)[:, : len(got)])[0]
            assert relative(got, want) <= 1e-12, f"{name}: text {b}"


@check
def forks_part(house):
    """Two texts with one beginning go on differently, from a half-full block, and neither sees the other's tokens."""
    for length in (6, 8):
        model = decoder("qwen3 window")
        cache = cache_for(house, model.config)
        first, ids = cache.table(), text(length, seed=9)[0]
        model(ids, cache.extend([first], [length]))
        others = [first.fork(), first.fork()]
        tables, new = [first, *others], torch.arange(9).view(3, 3)
        for step in range(3):
            out = model(new[:, step], cache.extend(tables, [1, 1, 1]))
        cache.pool.check([t.block_ids for t in tables])
        for b in range(3):
            want = model(torch.cat((ids, new[b]))[None])[0, -1]
            assert relative(out[b], want) <= 1e-12, f"fork {b} of {length} tokens"


@check
def prefix_hits(house):
    """A prompt whose beginning is found in the cache gets the logits of one that is read whole."""
    model = decoder("llama")
    cache = cache_for(house, model.config)
    prefixes, ids = PrefixCache(cache.pool), text(18, seed=4)[0]
    first = cache.table()
    model(ids, cache.extend([first], [18]))
    prefixes.insert(ids.tolist(), first.block_ids)
    first.free()
    question = torch.cat((ids[:13], text(9, seed=5)[0]))
    found = prefixes.match(question.tolist())
    assert len(found) == 3, f"{len(found)} blocks found"
    table = BlockTable(cache.pool, cache.pool.fork(found), 12)
    got = model(question[12:], cache.extend([table], [10]))
    assert relative(got, model(question[None])[0, 12:]) <= 1e-12


@check
def nothing_is_taken_in_vain(house):
    """A pass that does not fit as a whole takes no block and changes no table."""
    model = decoder("llama")
    cache = cache_for(house, model.config, blocks=6)
    tables = [cache.table(), cache.table()]
    cache.extend(tables, [4, 5])
    before = cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables]
    try:
        cache.extend(tables, [8, 9])
    except ValueError as refusal:
        assert "3 of 6 blocks are free; got 4" in str(refusal), str(refusal)
    else:
        raise AssertionError("more blocks than there are")
    assert before == (cache.pool.snapshot(), [(t.length, list(t.block_ids)) for t in tables])


@check
def given_back_is_nan(house):
    """Under check, a block that nobody holds and nobody can find reads as NaN, and others keep what they hold."""
    model = decoder("llama")
    for kind in (None, house.QuantizedPagedCache):
        cache = cache_for(house, model.config, kind=kind)
        tables, _ = run_passes(model, cache)
        k, _ = cache.read(0, tables[1])
        tables[0].free()
        assert torch.equal(cache.read(0, tables[1])[0], k) and not k.isnan().any()
        held = {b for t in tables[1:] for b in t.block_ids}
        free = [b for b in range(cache.pool.num_blocks) if b not in held]
        values = cache.k if kind is None else cache.k_scale
        assert values[:, free].isnan().all()


@check
def there_and_back(house):
    """Contiguous to paged and back: the same numbers, for texts of different lengths."""
    model = decoder("qwen2")
    cache = cache_for(house, model.config)
    tables, _ = run_passes(model, cache)
    dense = cache.to_contiguous(tables, max_length=50)
    assert dense.lengths.tolist() == [t.length for t in tables]
    other = cache_for(house, model.config, P=8)
    again = other.from_contiguous(dense)
    for layer, (a, b) in product(range(3), zip(tables, again, strict=True)):
        for got, want in zip(other.read(layer, b), cache.read(layer, a), strict=True):
            assert torch.equal(got, want)
    ids = torch.tensor([1, 2, 3])
    assert relative(model(ids, other.extend(again, [1, 1, 1])), model(ids[:, None], dense)[:, 0]) <= 1e-12


@check
def stored_in_eight_bits(house):
    """What is kept in 8 bits is read back within half a step, head by head, and forks copy the scales too."""
    for stored, step in (("int8", 0.5 / 127), ("fp8", 1 / 16)):
        cache = cache_for(house, FAMILIES["llama"], kind=house.QuantizedPagedCache, stored=stored)
        table = cache.table()
        batch = cache.extend([table], [6])
        # Heads and tokens of very different size: each must have a scale of its own.
        k = torch.randn(6, 2, 8, dtype=torch.float64) * 10.0 ** torch.arange(-3, 3)[:, None, None]
        k[:, 1] *= 1e3
        cache.write(1, k, -2 * k, batch.slot_mapping)
        fork = table.fork()
        cache.extend([table, fork], [1, 1])
        for one in (table, fork):
            one.truncate(6)
            got_k, got_v = cache.read(1, one)
            for got, want in ((got_k, k), (got_v, -2 * k)):
                error = (got - want).abs().amax(-1) / want.abs().amax(-1)
                assert error.max() <= step * 1.01, f"{stored}: {error.max():.4f} of the largest"
