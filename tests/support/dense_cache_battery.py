"""What a dense cache must do, as named checks that raise AssertionError: run on the real classes, and on broken ones."""

import math

import pytest
import torch
from cached_texts import decoder, read, read_ragged, relative, text, write, write_without_cache

from minillm.errors import InvalidValue

MODEL, WINDOWED, MIXED = "qwen3", "mistral", "qwen2 window"
EXACT = 1e-12


def caches(batch=1, slack=16):
    """(model, cache) of each kind: contiguous with and without a window, rings of all layers and of some."""
    for name in (MODEL, MIXED):
        yield decoder(name), decoder(name).new_cache(batch, 64)
    for name in (WINDOWED, MIXED):
        yield decoder(name), decoder(name).new_ring_cache(batch, 64, slack=slack)


def poison(cache):
    """Fill everything that is not kept with NaN, as leftovers of an earlier text may be."""
    for row, length in enumerate(cache.lengths.tolist()):
        for part in (cache, getattr(cache, "full", None)):
            if part is not None and hasattr(part, "max_length"):
                part.k[:, row, length:] = math.nan
                part.v[:, row, length:] = math.nan


def every_step():
    """Greedy tokens and their logits equal those of reading the whole text for each."""
    for model, cache in caches(slack=0):
        got, logits = write(model, text(9, seed=2), cache, 30)
        want, exact = write_without_cache(model, text(9, seed=2), 30)
        assert got == want, "another token was written"
        assert relative(logits, exact) <= EXACT


def any_chunking():
    """A text in passes of any sizes, longer than the ring and shorter."""
    ids = text(40, seed=1, batch=2)
    for chunks in ([40], [1] * 40, [3, 3, 30, 4], [9, 1, 2, 7, 1, 20], [1, 39]):
        for slack in (0, 3):
            for model, cache in caches(2, slack):
                assert relative(read(model, ids, cache, chunks), model(ids)) <= EXACT, chunks


def ragged_rows():
    """Padded prompts, then tokens and chunks, equal to each text alone."""
    prompts = [text(n, seed=n)[0] for n in (3, 17, 1, 8)]
    for model, cache in caches(4):
        assert read_ragged(model, cache, prompts, [1, 1, 4, 1, 1, 1, 7, *[1] * 9]) <= EXACT


def rewinding():
    """After truncate, another continuation: nothing of what was forgotten is seen, and positions go on from there."""
    ids, other = text(20, seed=3, batch=2), text(8, seed=4, batch=2)
    for keep in (20, 19, 12):
        for model, cache in caches(2, slack=8):
            read(model, ids, cache, [11, *[1] * 9])
            cache.truncate(keep)
            poison(cache)
            want = model(torch.cat((ids[:, :keep], other), dim=1))[:, keep:]
            assert relative(read(model, other, cache, [1, 3, 1, 1, 2]), want) <= EXACT
            assert cache.length == keep + 8


def reuse():
    """After reset a cache is as new, whatever it held."""
    for model, cache in caches(2):
        read(model, text(31, seed=5, batch=2), cache, [30, 1])
        cache.reset()
        poison(cache)
        assert cache.length == 0
        ids = text(23, seed=6, batch=2)
        assert relative(read(model, ids, cache, [4, 1, 1, 10, *[1] * 7]), model(ids)) <= EXACT


def leftovers():
    """A short row beside a long one never meets what an earlier text left in memory, were it NaN."""
    for model, cache in caches(3):
        for part in (cache, getattr(cache, "full", None)):
            if part is not None and hasattr(part, "max_length"):
                part.k.fill_(math.nan)
                part.v.fill_(math.nan)
        prompts = [text(n, seed=n)[0] for n in (2, 9, 5)]
        assert read_ragged(model, cache, prompts, [1] * 5) <= EXACT
        cache.truncate([3, 14, 1])
        poison(cache)
        new = text(1, seed=8, batch=3)
        assert not model(new, cache).isnan().any()


def own_rows():
    """A text read through row(b) is in row b, and nowhere else; then all go on together."""
    for model, cache in caches(3, slack=0):
        prompts = [text(n, seed=n)[0] for n in (4, 12, 7)]
        for b in (1, 2, 0):
            one = cache.row(b)
            logits = read(model, prompts[b][None], one, [len(prompts[b]) - 1, 1])
            assert relative(logits, model(prompts[b][None])) <= EXACT
            assert one.lengths.tolist() == [len(prompts[b])]
        assert cache.lengths.tolist() == [4, 12, 7]
        for step in range(6):
            new = text(1, seed=50 + step, batch=3)
            logits = model(new, cache)
            prompts = [torch.cat((p, new[b])) for b, p in enumerate(prompts)]
            for b, prompt in enumerate(prompts):
                assert relative(logits[b], model(prompt[None])[0, -1:]) <= EXACT
        cache.row(1).reset()
        assert cache.lengths.tolist() == [10, 0, 13]


def refusals():
    """What does not fit is refused before anything changes."""
    for model, cache in caches(2, slack=2):
        ids = text(20, seed=1, batch=2)
        read(model, ids, cache, [10, 10])
        kept = cache.k.clone()
        ring = hasattr(cache, "windows")
        for wrong in (-1, 21, [20, 21], [20], *([5] if ring else [])):
            with pytest.raises(InvalidValue):
                cache.truncate(wrong)
        with pytest.raises(InvalidValue):
            model(text(45, batch=2), cache)
        assert cache.length == 20
        assert torch.equal(cache.k.nan_to_num(), kept.nan_to_num())


CHECKS = {
    check.__name__: check
    for check in (every_step, any_chunking, ragged_rows, rewinding, reuse, leftovers, own_rows, refusals)
}
