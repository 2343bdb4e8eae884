"""What 8 bits a number cost in held-out bits per byte on the bundled model: less than a five-hundredth, and not nothing."""

import pytest
import torch

import minillm as ml
from minillm.cache import PagedCache, QuantizedPagedCache, quantized
from minillm.errors import InvalidValue
from minillm.model.corpus import load_corpus
from minillm.model.evaluate_cached import cached_bits_per_byte

# Over 12,000 held-out tokens: int8 costs 0.0001, fp8 0.0002.
ALLOWED = {"int8": 0.002, "fp8": 0.002}


@pytest.fixture(scope="module")
def tiny():
    return ml.load_model("tiny", dtype=torch.float32).requires_grad_(False), ml.load_tokenizer("tiny")


@pytest.fixture(scope="module")
def texts():
    held_out = load_corpus().texts(held_out=True)
    return [text[2000:4000] for text in held_out if len(text) > 4000][:2]


def sizes(model, blocks=40, P=16):
    return model.config.num_layers, blocks, P, model.config.num_kv_heads, model.config.head_dim


@pytest.fixture(scope="module")
def plain(tiny, texts):
    return cached_bits_per_byte(*tiny, texts, tiny[0].new_cache(1), context=512)


def test_pages_cost_nothing(tiny, texts, plain):
    cache = PagedCache(*sizes(tiny[0]), check=True)
    assert abs(cached_bits_per_byte(*tiny, texts, cache, context=512, chunk=100) - plain) <= 1e-5
    assert cache.pool.num_used == 0


@pytest.mark.parametrize("stored", ALLOWED)
def test_eight_bits_cost_little(stored, tiny, texts, plain):
    cache = QuantizedPagedCache(*sizes(tiny[0]), stored=stored)
    cost = cached_bits_per_byte(*tiny, texts, cache, context=512) - plain
    assert 0 != cost <= ALLOWED[stored], f"{cost:+.5f}"


def test_two_bits_would_cost_too_much(tiny, texts, plain, monkeypatch):
    """The bound can be missed: one step to each side instead of 127."""
    monkeypatch.setitem(quantized.STORED, "int8", (torch.int8, 1.0))
    cache = QuantizedPagedCache(*sizes(tiny[0]))
    assert cached_bits_per_byte(*tiny, texts, cache, context=512) - plain > 10 * max(ALLOWED.values())


def test_no_text_is_refused(tiny):
    with pytest.raises(InvalidValue, match="at least one text"):
        cached_bits_per_byte(*tiny, [], tiny[0].new_cache(1))
