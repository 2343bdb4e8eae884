"""A ring keeps a window of each sliding layer in the same memory for ever, and says so when it is asked for more."""

import pytest
import torch
from cached_texts import decoder, read, relative, text

import minillm as ml
from minillm.cache import RingCache
from minillm.errors import InvalidType, InvalidValue

WINDOW = 5


def numbered(start, stop, batch=1):
    """Keys whose every number is their token's position: (batch, stop − start, 2, 4)."""
    return torch.arange(start, stop, dtype=torch.float32)[None, :, None, None].expand(batch, -1, 2, 4)


def ring(batch=1, slack=0, **options):
    return RingCache(2, batch, 2, 4, window=WINDOW, slack=slack, **options)


def feed(cache, start, stop):
    k = numbered(start, stop, cache.k.shape[1])
    for layer in range(2):
        cache.attend(layer, torch.zeros(k.shape[0], stop - start, 4, 4), k, k, window=WINDOW)
    cache.advance(stop - start)


@pytest.mark.parametrize("slack", [0, 2])
@pytest.mark.parametrize("chunks", [[23], [1] * 23, [4, 1, 9, 1, 8]])
def test_position_p_lies_in_slot_p_mod_r(chunks, slack):
    cache, start = ring(slack=slack), 0
    for count in chunks:
        feed(cache, start, start + count)
        start += count
    R = WINDOW + slack
    want = {p % R: p for p in range(23)}  # later positions win
    assert cache.k[0, 0, :, 0, 0].tolist() == [want[slot] for slot in range(R)]
    assert torch.equal(cache.k, cache.v)


def test_memory_and_bytes_read_stay_flat_over_ten_windows():
    model = decoder("mistral", torch.float32)
    cache = model.new_ring_cache()
    seen = []
    for tokens in text(10 * WINDOW, seed=1).split(WINDOW, dim=1):
        model(tokens[:, :-1], cache)
        with ml.count() as c:
            model.hidden_states(tokens[:, -1:], cache)
        seen.append((c.bytes_loaded, c.bytes_stored, c.peak_bytes, cache.nbytes, cache.k.data_ptr()))
    assert set(seen) == {seen[0]}
    assert cache.length == 10 * WINDOW
    assert cache.nbytes == 2 * 3 * WINDOW * 2 * 8 * 4
    assert model.new_cache(max_length=10 * WINDOW).nbytes == 10 * cache.nbytes


def test_layers_that_see_everything_are_kept_whole():
    model = decoder("qwen2 window")
    cache = model.new_ring_cache(batch=2, max_length=50)
    one_token = 2 * 2 * 2 * 8 * 8  # k and v, two texts, two heads of eight float64
    assert cache.nbytes == one_token * (50 + 2 * 6)
    assert [cache.full.k.shape[0], cache.k.shape[0]] == [1, 2]
    model(text(50, batch=2), cache)
    with pytest.raises(InvalidValue, match="holds 50 tokens; got 51"):
        model(text(1, batch=2), cache)


def test_slack_is_what_can_be_taken_back():
    for slack in (0, 1, 4):
        for steps in ([30], [1] * 30):
            model = decoder("mistral")
            cache = model.new_ring_cache(slack=slack)
            ids = text(30, seed=2)
            read(model, ids, cache, steps)
            cache.truncate(30 - slack)
            if slack:
                assert relative(model(ids[:, 30 - slack :], cache), model(ids)[:, 30 - slack :]) <= 1e-12
            with pytest.raises(
                InvalidValue, match=r"row 0 has 30 tokens and can go back to .*; make the ring with more"
            ):
                cache.truncate(30 - slack - 3)
            assert cache.length == 30


def test_before_the_ring_has_gone_round_any_number_can_be_taken_back():
    model, ids = decoder("mistral"), text(12, seed=2)
    cache = model.new_ring_cache()
    model(ids[:, :WINDOW], cache)
    cache.truncate(2)
    assert relative(model(ids[:, 2:], cache), model(ids)[:, 2:]) <= 1e-12


class Stopped(Exception):
    pass


def test_a_pass_that_did_not_finish_is_not_built_upon():
    model, ids = decoder("mistral"), text(30, seed=3)
    cache = model.new_ring_cache()
    model(ids[:, :20], cache)
    second, real = model.layers[1], model.layers[1].forward

    def stop(*args):
        raise Stopped

    second.forward = stop
    with pytest.raises(Stopped):
        model(ids[:, 20:24], cache)
    second.forward = real
    with pytest.raises(InvalidValue, match="an unfinished pass took the slots before 19"):
        model(ids[:, 20:24], cache)
    cache.reset()
    assert relative(model(ids, cache), model(ids)) <= 1e-12


def test_one_token_can_be_tried_again():
    """It takes the slot of the token that leaves its window, so nothing is lost when a pass of one token is interrupted."""
    model, ids = decoder("mistral"), text(21, seed=3)
    cache = model.new_ring_cache()
    model(ids[:, :20], cache)
    layer = model.layers[0].attention
    layer.forward(torch.zeros(1, 1, 32, dtype=torch.float64), *model.rotary_rows(20, 21), cache)
    assert relative(model(ids[:, 20:], cache), model(ids)[:, 20:]) <= 1e-12


def test_a_model_without_a_window_has_no_ring():
    with pytest.raises(InvalidValue, match="a ring is for a model with a sliding window; got a qwen3 model with none"):
        decoder("qwen3").new_ring_cache()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (dict(window=0), InvalidValue, "window must be at least 1; got 0"),
        (dict(window=4.0), InvalidType, "window must be a whole number"),
        (dict(slack=-1), InvalidValue, "slack must be at least 0; got -1"),
        (dict(slack=True), InvalidType, "slack must be a whole number"),
        (dict(sliding_layers=()), InvalidValue, "a ring needs a layer with a sliding window; got none"),
        (dict(sliding_layers=(0, 2)), InvalidValue, r"sliding_layers lie in 0 … 1; got \[0, 2\]"),
        (dict(sliding_layers=("0",)), InvalidType, "sliding_layers must be whole numbers"),
        (dict(sliding_layers=1), InvalidType, "sliding_layers must be whole numbers"),
        (
            dict(sliding_layers=(0,)),
            InvalidValue,
            "kept whole, which takes a max_length; got None, and 1 of 2",
        ),
        (dict(sliding_layers=(0,), max_length=-5), InvalidValue, "max_length must be at least 1"),
        (dict(max_length="all"), InvalidType, "max_length must be a whole number"),
    ],
)
def test_rings_that_cannot_be_are_refused(change, error, says):
    with pytest.raises(error, match=says):
        RingCache(2, 1, 2, 4, **{"window": WINDOW, **change})


def test_new_tokens_of_another_kind_are_refused_and_change_nothing():
    cache = ring(batch=2)
    feed(cache, 0, 7)
    kept, q, k = cache.k.clone(), torch.zeros(2, 1, 4, 4), numbered(7, 8, 2)
    refusals = [
        (InvalidType, lambda: cache.attend(0, q.double(), k.double(), k.double(), window=WINDOW)),
        (InvalidValue, lambda: cache.attend(0, q[:1], k[:1], k[:1], window=WINDOW)),
        (InvalidValue, lambda: cache.attend(0, q, k[:, :, :1], k[:, :, :1], window=WINDOW)),
        (InvalidValue, lambda: cache.attend(0, q, k, k[:, :0], window=WINDOW)),
        (InvalidValue, lambda: cache.attend(2, q, k, k, window=WINDOW)),
        (InvalidValue, lambda: cache.attend(0, q, k, k, window=WINDOW + 1)),
        (InvalidValue, lambda: cache.attend(0, q, k, k)),
        (InvalidValue, lambda: cache.row(2)),
        (InvalidType, lambda: cache.truncate(2.0)),
    ]
    for error, call in refusals:
        with pytest.raises(error):
            call()
    assert torch.equal(cache.k, kept)
    assert cache.length == 7


def test_a_cache_of_another_model_is_refused_before_any_work():
    model = decoder("mistral")
    for wrong, says in [
        (decoder("qwen2 window").new_ring_cache(), "window in each layer"),
        (decoder("mistral mha").new_ring_cache(), "kv_heads"),
        (decoder("mistral", torch.float32).new_ring_cache(), "torch.float64"),
        (model.new_ring_cache(batch=2), "3, 1, 2, 8, .*got 3, 2, 2, 8"),
    ]:
        with pytest.raises(InvalidValue, match=says):
            model(text(3), wrong)


def test_repr_says_what_is_seen_and_what_is_kept():
    cache = ring(batch=2, slack=1)
    feed(cache, 0, 9)
    assert "RingCache(9 tokens seen, the last 6 kept in 2 of 2 layers, batch=2" in repr(cache)
    cache.truncate([9, 8])
    assert "RingCache(8 to 9 tokens seen" in repr(cache)
    with pytest.raises(InvalidValue, match=r"got \[9, 8\]; read lengths"):
        _ = cache.length
