"""With a cache and without give the same text: every family, every kind of cache, at every step, under any chunking."""

import pytest
import torch
from cached_texts import (
    FAMILIES,
    WINDOWED,
    decoder,
    read,
    read_ragged,
    relative,
    text,
    write,
    write_without_cache,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    "contiguous": lambda model, batch=1, slack=0: model.new_cache(batch, 64),
    "ring": lambda model, batch=1, slack=0: model.new_ring_cache(batch, 64, slack=slack),
}
CASES = [("contiguous", name) for name in FAMILIES] + [("ring", name) for name in WINDOWED]
LENGTH = 33


@st.composite
def chunkings(draw):
    """Sizes of passes that add up to LENGTH; cuts fall anywhere, single tokens and long chunks alike."""
    cuts = sorted(draw(st.sets(st.integers(1, LENGTH - 1))))
    return [b - a for a, b in zip([0, *cuts], [*cuts, LENGTH], strict=True)]


@pytest.mark.parametrize(("kind", "name"), CASES)
@settings(max_examples=12)
@given(chunks=chunkings(), slack=st.integers(0, 4))
def test_any_chunking_gives_the_same_logits(kind, name, chunks, slack):
    model, ids = decoder(name), text(LENGTH, seed=1, batch=2)
    assert relative(read(model, ids, KINDS[kind](model, 2, slack), chunks), model(ids)) <= 1e-12


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_greedy_text_is_the_same_at_every_step(kind, name):
    model, prompt = decoder(name), text(9, seed=2)
    tokens, logits = write(model, prompt, KINDS[kind](model), 40)
    want_tokens, want = write_without_cache(model, prompt, 40)
    assert tokens == want_tokens
    assert max(relative(a, b) for a, b in zip(logits, want, strict=True)) <= 1e-12


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_in_float32_nothing_but_rounding_differs(kind, name):
    """Held to the float64 decoder: a cache may be as far from it as reading the whole text is, and hardly farther."""
    ids, exact = text(LENGTH, seed=1, batch=2), decoder(name)(text(LENGTH, seed=1, batch=2))
    model = decoder(name, torch.float32)
    cached = read(model, ids, KINDS[kind](model, 2), [7, *[1] * (LENGTH - 7)])
    assert relative(cached.double(), exact) <= 2 * relative(model(ids).double(), exact)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_rows_of_different_lengths_are_each_as_alone(kind, name):
    model = decoder(name)
    prompts = [text(n, seed=n)[0] for n in (3, 17, 1, 8)]
    cache = KINDS[kind](model, 4, slack=16)
    assert read_ragged(model, cache, prompts, [1] * 7 + [5, 2, 9] + [1] * 9) <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_goes_to_the_last_position_and_no_further(kind):
    model = decoder("mistral")
    cache, ids = KINDS[kind](model), text(64, seed=5)
    assert relative(read(model, ids, cache, [60, 1, 1, 1, 1]), model(ids)) <= 1e-12
    with pytest.raises(ValueError, match="got 65"):
        model(ids[:, :1], cache)
    assert cache.length == 64


def test_half_precision_rows_of_different_lengths():
    model = decoder("llama", torch.bfloat16)
    prompts = [text(n, seed=n)[0] for n in (3, 17, 8)]
    assert read_ragged(model, model.new_cache(3, 64), prompts, [1, 4, 1]) <= 0.05
