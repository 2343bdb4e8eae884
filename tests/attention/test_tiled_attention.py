"""The tiled form: right everywhere the naive form is, at any tile sizes, with a recorder that shows every tile."""

import math
from itertools import product

import flash_battery
import pytest
import torch
from attention_battery import CHECKS
from attention_cases import assert_close, some_sinks, tensors

import minillm as ml
from minillm.attention.naive import attention_scores, naive_attention
from minillm.attention.tiled import TileVisit, tiled_attention
from minillm.errors import InvalidType, InvalidValue
from minillm.measure.tiles import key_range, tiled_attention_cost

EVERYTHING = frozenset({"causal", "window", "softcap", "sinks", "scale", "return_lse"})
PLANS = [{}, {"causal": True}, {"window": 7}, {"causal": True, "window": 40}]


def small_tiles(*args, **options):
    """Tiles that no length of the battery fits, so that every case has several and a ragged end."""
    return tiled_attention(*args, **options, block_l=4, block_s=3)


@pytest.mark.parametrize("form", [tiled_attention, small_tiles], ids=["tiles of 64", "tiles of 4 by 3"])
@pytest.mark.parametrize("name", CHECKS)
def test_tiled_passes_what_any_form_must(name, form):
    CHECKS[name][0](form, EVERYTHING)


@pytest.mark.parametrize("name", flash_battery.CHECKS)
def test_tiled_passes_what_a_block_wise_form_must(name):
    flash_battery.CHECKS[name](tiled_attention, flash_battery.SMALL)


@pytest.mark.parametrize("blocks", [(1, 1), (5, 7), (64, 16), (16, 64), (200, 200)])
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_tile_sizes_do_not_change_the_answer(blocks, plan):
    q, k, v = tensors(33, 49, H=2, G=1, B=1)
    out, lse = tiled_attention(q, k, v, return_lse=True, block_l=blocks[0], block_s=blocks[1], **plan)
    want, want_lse = naive_attention(q, k, v, return_lse=True, **plan)
    assert_close(out, want, 1e-12, "out")
    assert_close(lse, want_lse, 1e-12, "lse")


def test_gradients_of_every_kind_through_many_tiles():
    q, k, v = (x.requires_grad_() for x in tensors(9, 13, D=3, B=1))
    sinks = some_sinks(4).requires_grad_()
    options = {"causal": True, "window": 8, "softcap": 1.5, "sinks": sinks, "return_lse": True}
    inputs = (q, k, v, sinks)

    def gradients(form):
        out, lse = form(q, k, v, **options)
        return torch.autograd.grad(out.square().sum() + lse.sin().sum(), inputs)

    for got, want in zip(gradients(small_tiles), gradients(naive_attention), strict=True):
        assert_close(got, want, 1e-11, "gradient")


@pytest.mark.parametrize(("L", "S"), [(7, 19), (19, 7), (16, 16)])
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_recorder_sees_every_tile_in_order(L, S, plan):
    q, k, v = tensors(L, S, dtype=torch.float32)
    visits = []
    tiled_attention(q, k, v, block_l=8, block_s=4, record=visits.append, **plan)
    want = [
        (b, h, q_tile, *tile)
        for b, h, q_tile in product(range(2), range(4), range(-(-L // 8)))
        for tile in key_range(q_tile, L, S, 8, 4, **plan).tiles(4)
    ]
    assert [(x.b, x.h, x.q_tile, x.s_tile, x.masked) for x in visits] == want


def test_a_visit_holds_the_state_in_natural_units():
    """After each tile m, l and the output's length are those of attention to the keys so far."""
    q, k, v = tensors(5, 11, H=1, G=1, B=1)
    visits: list[TileVisit] = []
    tiled_attention(q, k, v, block_l=8, block_s=4, record=visits.append)
    for visit in visits:
        seen = min(visit.s_tile + 4, 11)
        scores = attention_scores(q, k[:, :seen])[0, 0]
        m, weights = scores.amax(1), torch.exp(scores - scores.amax(1, keepdim=True))
        assert_close(visit.m, m, 1e-12, "m")
        assert_close(visit.l, weights.sum(1), 1e-12, "l")
        assert_close(visit.acc_norm, (weights @ v[0, :seen, 0]).norm(dim=1), 1e-12, "acc_norm")


def test_a_visit_does_not_change_when_the_walk_goes_on():
    q, k, v = tensors(5, 11, H=1, G=1, B=1)
    kept = []
    tiled_attention(q, k, v, block_s=4, record=lambda visit: kept.append((visit, visit.m.clone(), visit.l.clone())))
    assert all(torch.equal(visit.m, m) and torch.equal(visit.l, l) for visit, m, l in kept)


def test_recording_changes_neither_the_answer_nor_the_counters():
    q, k, v = tensors(9, 13, dtype=torch.float32)
    visits = []
    with ml.count() as plain:
        want = tiled_attention(q, k, v, causal=True, block_l=8, block_s=4)
    with ml.count() as recorded:
        got = tiled_attention(q, k, v, causal=True, block_l=8, block_s=4, record=visits.append)
    assert torch.equal(got, want)
    assert (recorded.bytes_moved, recorded.flops) == (plain.bytes_moved, plain.flops)
    assert plain.flops == sum(visit.flops for visit in visits)
    queries = q.numel() * 4
    assert plain.bytes_loaded == queries + sum(visit.bytes_loaded for visit in visits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_counters_equal_the_formula(plan, dtype):
    for (L, S), sinks in (((33, 70), False), ((70, 33), True), ((5, 1), True)):
        q, k, v = tensors(L, S, H=4, G=2, D=10, dtype=dtype)
        state = 8 if dtype == torch.float64 else 4
        options = {**plan, "sinks": some_sinks(4, torch.float64 if state == 8 else torch.float32) if sinks else None}
        with ml.count() as c:
            tiled_attention(q, k, v, block_l=32, block_s=16, **options)
        size = {"dtype_bytes": q.element_size(), "state_bytes": state}
        want = tiled_attention_cost(2, L, S, 4, 10, block_l=32, block_s=16, sinks=sinks, **plan, **size)
        got = (c.bytes_loaded, c.bytes_stored, c.flops)
        assert got == (want.bytes.loaded, want.bytes.stored, want.flops), f"{L}x{S} sinks={sinks}"


def test_the_scores_are_never_whole():
    q, k, v = tensors(256, 256, H=1, G=1, B=1, D=16, dtype=torch.float32)
    with ml.count() as c:
        tiled_attention(q, k, v)
    assert not c.allocated(elements=256 * 256)
    assert c.peak_bytes == (256 * 16 + 256) * 4  # out and lse
    assert c.peak_on_chip_bytes < 256 * 256 * 4


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"block_l": 0}, InvalidValue, "block_l must be at least 1; got 0; use 1 or more"),
        ({"block_s": -3}, InvalidValue, "block_s must be at least 1; got -3"),
        ({"block_s": 2.0}, InvalidType, "block_s must be a whole number; got 2.0"),
        ({"block_l": True}, InvalidType, "block_l must be a whole number"),
        ({"window": 0}, InvalidValue, "window must be at least 1"),
        ({"softcap": math.inf}, InvalidValue, "softcap must be a finite number"),
    ],
)
def test_bad_input_is_refused(options, error, text):
    with pytest.raises(error, match=text):
        tiled_attention(*tensors(3, 3), **options)


def test_the_face_knows_it():
    q, k, v = tensors(3, 5)
    assert torch.equal(ml.attention(q, k, v, backend="tiled", causal=True), tiled_attention(q, k, v, causal=True))
