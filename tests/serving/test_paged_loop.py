"""Decode loops for texts of different lengths equal the decoder: in a contiguous cache, in a paged one, and in 8 bits."""

from itertools import product

import pytest
import torch
from cached_texts import FAMILIES, decoder, relative, text
from paged_cache_battery import PASSES, shuffled

from minillm.cache import PagedCache, QuantizedPagedCache
from minillm.serving import runner
from minillm.serving.runner import DecodeLoop, PagedLoop

LENGTHS = (9, 3, 14, 9)


def ragged(model):
    """A contiguous cache of texts of LENGTHS, read padded and cut."""
    cache = model.new_cache(len(LENGTHS), 32)
    model(torch.cat([text(max(LENGTHS), seed=b) for b in range(len(LENGTHS))]), cache)
    cache.truncate(LENGTHS)
    return cache


@pytest.mark.parametrize("waste", [0, 2**40], ids=["one by one", "padded"])
@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_different_lengths_decode_as_the_decoder_does(name, waste, monkeypatch):
    monkeypatch.setattr(runner, "WASTED_BYTES", waste)
    model = decoder(name)
    ours, theirs = ragged(model), ragged(model)
    loop = DecodeLoop(model, ours)
    for step in range(4):
        ids = text(1, seed=step, batch=len(LENGTHS))
        assert relative(loop.step(ids), model(ids, theirs)[:, -1]) <= 1e-12
    assert ours.lengths.tolist() == [n + 4 for n in LENGTHS]
    for b, n in enumerate(ours.lengths.tolist()):
        assert relative(ours.k[:, b, :n], theirs.k[:, b, :n]) <= 1e-12


def caches(model, kind=PagedCache, **options):
    c = model.config
    sizes = (c.num_layers, 60, 4, c.num_kv_heads, c.head_dim)
    return [shuffled(kind(*sizes, dtype=model.dtype, check=True, **options), seed) for seed in (0, 1)]


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_tokens_and_mixtures_run_as_the_decoder_runs_them(name):
    model = decoder(name)
    ours, theirs = caches(model)
    tables = [[cache.table() for _ in PASSES[0]] for cache in (ours, theirs)]
    loop, done = PagedLoop(model), [0, 0, 0]
    for counts in PASSES:
        ids = torch.cat([text(40, seed=b)[0, at : at + n] for b, (at, n) in enumerate(zip(done, counts, strict=True))])
        want = model(ids, theirs.extend(tables[1], counts))[torch.tensor(counts).cumsum(0) - 1]
        assert relative(loop.step(ids, ours.extend(tables[0], counts)), want) <= 1e-12
        done = [at + n for at, n in zip(done, counts, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=["plain", "modules"])
def test_any_packed_rows_can_be_asked_for(dtype):
    """Twice, out of order, none at all: what speculation and prompts that are not yet at their end ask for."""
    model = decoder("qwen3").to(dtype)
    try:
        ours, theirs = caches(model)
        tables, ids = [[cache.table(), cache.table()] for cache in (ours, theirs)], text(9)[0]
        for rows in ([8, 0, 3, 3, 5], [], [4]):
            wanted = torch.tensor(rows, dtype=torch.int64)
            got = PagedLoop(model).step(ids, ours.extend(tables[0], [4, 5]), wanted)
            want = model(ids, theirs.extend(tables[1], [4, 5]))[wanted]
            assert got.shape == want.shape
            allowed = 0 if dtype == torch.bfloat16 else 1e-12
            assert not rows or relative(got, want) <= allowed
    finally:
        model.double()
        decoder.cache_clear()


@pytest.mark.parametrize("stored", ["int8", "fp8"])
def test_eight_bits_give_what_their_widened_numbers_give(stored):
    """The decoder over a plain cache that holds exactly what the 8-bit one holds."""
    model = decoder("llama")
    quantised, _ = caches(model, QuantizedPagedCache, stored=stored)
    plain, _ = caches(model)
    prompt, table = text(13)[0], quantised.table()
    loop = PagedLoop(model)
    loop.step(prompt, quantised.extend([table], [13]))
    twin = plain.table()
    batch = plain.extend([twin], [13])
    for layer in range(model.config.num_layers):
        plain.write(layer, *quantised.read(layer, table), batch.slot_mapping)
    ids = torch.tensor([7])
    got, want = loop.step(ids, quantised.extend([table], [1])), loop.step(ids, plain.extend([twin], [1]))
    # The new token's own key and value are kept in 8 bits in one and as they are in the other.
    assert relative(got, want) <= (0.02 if stored == "int8" else 0.1)
    for layer, kept in product(range(1), range(13)):
        a, b = quantised.read(layer, table)[0][kept], plain.read(layer, twin)[0][kept]
        assert torch.equal(a, b)


def test_sixteen_bit_weights_keep_the_modules_rounding():
    model = decoder("qwen3").to(torch.bfloat16)
    try:
        ours, theirs = caches(model)
        tables = [[cache.table(), cache.table()] for cache in (ours, theirs)]
        ids = text(9)[0]
        got = PagedLoop(model).step(ids, ours.extend(tables[0], [4, 5]))
        assert torch.equal(got, model(ids, theirs.extend(tables[1], [4, 5]))[[3, 8]])
    finally:
        model.double()
        decoder.cache_clear()
