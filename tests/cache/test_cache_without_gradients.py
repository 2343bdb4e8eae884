"""A cache keeps numbers and no history: passes with and without gradients mix, nothing piles up, and a loss is told."""

from itertools import product

import pytest
import torch
from cached_texts import FAMILIES, decoder, relative, text

from minillm.cache import PagedCache, QuantizedPagedCache
from minillm.errors import Unsupported
from minillm.model import Decoder

MODES = {"with": torch.enable_grad, "without": torch.no_grad, "inference": torch.inference_mode}


@pytest.fixture
def learning():
    """A decoder whose weights want gradients."""
    torch.manual_seed(0)
    return Decoder(FAMILIES["mistral"])


def dense(model, kind):
    return model.new_cache(2, 20) if kind == "contiguous" else model.new_ring_cache(2, 20, slack=9)


@pytest.mark.parametrize("kind", ["contiguous", "ring"])
def test_rows_taken_in_any_mode_are_written_in_any_other(learning, kind):
    """One row's pass within inference mode, then all rows with gradients: the memory is the same."""
    for first, second in product(MODES.values(), MODES.values()):
        cache = dense(learning, kind)
        learning(text(4, batch=2), cache)
        cache.truncate([4, 2])
        with first():
            row = cache.row(1)
        with second():
            learning(text(2, seed=1), row)
            got = learning(text(1, seed=2, batch=2), cache)
        alone = torch.cat((text(4, batch=2)[1:, :2], text(2, seed=1), text(1, seed=2, batch=2)[1:]), dim=1)
        assert relative(got[1].detach(), learning(alone)[0, -1:].detach()) < 1e-5


@pytest.mark.parametrize("kind", ["contiguous", "ring"])
def test_a_dense_cache_holds_no_history_and_a_loss_is_told(learning, kind):
    cache = dense(learning, kind)
    for _ in range(2):
        logits = learning(text(3, batch=2), cache)
    cache.truncate([6, 5])
    ragged = learning(text(1, batch=2), cache)
    assert not cache.k.requires_grad and not cache.v.requires_grad
    for out in (logits, ragged):
        assert out.requires_grad
        with pytest.raises(Unsupported, match=r"without the way they were computed.*train without a cache"):
            out.sum().backward()


@pytest.mark.parametrize("kind", [PagedCache, QuantizedPagedCache])
@pytest.mark.parametrize("counts", [(3,), (2, 1, 1)])
def test_a_paged_cache_holds_no_history_and_a_loss_is_told(learning, kind, counts):
    config = learning.config
    cache = kind(config.num_layers, 30, 4, config.num_kv_heads, config.head_dim)
    tables = [cache.table() for _ in counts]
    for _ in range(2):
        logits = learning(text(sum(counts))[0], cache.extend(tables, counts))
    assert logits.requires_grad and not any(x.requires_grad for x in cache._tensors)
    with pytest.raises(Unsupported, match="train without a cache"):
        logits.sum().backward()


@pytest.mark.parametrize("kind", ["contiguous", "ring", "paged"])
@pytest.mark.parametrize("wanting", ["q", "k", "v"])
def test_whichever_of_them_wants_gradients_is_told(learning, kind, wanting):
    x = {name: torch.randn(2, 1, heads, 8) for name, heads in (("q", 4), ("k", 2), ("v", 2))}
    x[wanting].requires_grad_()
    if kind == "paged":
        cache = PagedCache(1, 4, 4, 2, 8)
        cache, x = cache.extend([cache.table(), cache.table()], [1, 1]), {n: a.flatten(0, 1) for n, a in x.items()}
    else:
        cache = dense(learning, kind)
    out = cache.attend(0, **x, window=5)
    with pytest.raises(Unsupported, match="train without a cache"):
        out.sum().backward()


def test_a_batch_serves_in_every_mode(learning):
    config = learning.config
    cache = PagedCache(config.num_layers, 30, 4, config.num_kv_heads, config.head_dim)
    batch, outs = cache.extend([cache.table(), cache.table()], [3, 2]), []
    for mode in ("inference", "with", "without"):
        with MODES[mode]():
            outs.append(learning(text(5)[0], batch).detach())
    assert torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2])


def test_weights_at_rest_cost_nothing_more():
    """Without gradients what attention gives is handed on as it is."""
    model = decoder("llama")
    cache = model.new_cache(1, 8)
    assert not model(text(3), cache).requires_grad
