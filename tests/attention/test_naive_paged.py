"""The oracle of paged attention against the definition as loops, on blocks in no order with poison all around."""

import pytest
import torch
from attention_cases import assert_close, loop_attention, some_sinks
from paged_cases import make_case

import minillm as ml
from minillm.attention import naive_paged_attention
from minillm.attention.naive_paged import gather_blocks

TEXTS = ((1, 18), (5, 9), (0, 3), (7, 7), (0, 0), (1, 1))
PLANS = [{}, {"window": 4}, {"softcap": 1.5, "sinks": True}, {"scale": -0.4}]


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("P", [1, 4, 5, 16])
def test_each_text_is_causal_attention_over_its_own_tokens(P, plan):
    case = make_case(TEXTS, P=P, H=4, G=2, D=8, dtype=torch.float64)
    options = {**plan, "sinks": some_sinks(4)} if plan.get("sinks") else plan
    out, lse = naive_paged_attention(*case.call, return_lse=True, **options)
    for b, rows in enumerate(case.rows):
        want, want_lse = loop_attention(case.q[None, rows], case.k[b][None], case.v[b][None], causal=True, **options)
        assert_close(out[rows], want[0], 1e-12, f"text {b}")
        assert_close(lse[:, rows], want_lse[0], 1e-12, f"text {b}")


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn], ids=str)
def test_a_quantised_cache_is_its_numbers_times_their_scales(kind):
    case = make_case(TEXTS, P=4, H=4, G=2, D=8, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    scales = [torch.rand(case.k_cache.shape[:3], generator=generator) + 0.1 for _ in range(2)]
    kept = [(torch.randn(x.shape, generator=generator) * 40).to(kind) for x in (case.k_cache, case.v_cache)]
    caches = [x.double() * scale[..., None].double() for x, scale in zip(kept, scales, strict=True)]
    want = naive_paged_attention(case.q, *caches, *case.call[3:])
    got = naive_paged_attention(case.q, *kept, *case.call[3:], k_scale=scales[0], v_scale=scales[1])
    assert_close(got, want, 1e-12)


def test_halves_are_rounded_once():
    case = make_case(TEXTS, P=4, dtype=torch.bfloat16)
    wide = case.but(**{name: getattr(case, name).float() for name in ("q", "k_cache", "v_cache")})
    assert torch.equal(naive_paged_attention(*case.call), naive_paged_attention(*wide.call).bfloat16())


def test_a_text_is_fetched_in_order():
    case = make_case(((1, 11),), P=4)
    assert torch.equal(gather_blocks(case.k_cache, case.block_table[0], 11), case.k[0])


def test_no_texts_at_all():
    case = make_case(())
    out, lse = naive_paged_attention(*case.call, return_lse=True)
    assert out.shape == (0, 2, 32) and lse.shape == (2, 0)


def test_the_door_has_it():
    assert ml.attention.naive_paged_attention is naive_paged_attention
