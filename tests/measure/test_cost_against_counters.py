"""Closed formulas and counters must agree to the byte: on attention as everybody writes it, and on whole models."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm as ml
from minillm.attention.naive import naive_attention
from minillm.errors import InvalidValue
from minillm.measure import cost

SIZES = st.integers(1, 5)
GROUPS = st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 2), (3, 1), (6, 3)])
DTYPES = {2: torch.bfloat16, 4: torch.float32, 8: torch.float64}


def textbook(q, k, v, hidden=None):
    scores = q.transpose(1, 2) @ k.permute(0, 2, 3, 1)
    scores = scores * 0.5
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return scores.softmax(-1) @ v.transpose(1, 2)


def inputs(B, L, S, H, G, D, dtype):
    return torch.ones(B, L, H, D, dtype=dtype), *(torch.ones(B, S, G, D, dtype=dtype) for _ in range(2))


def assert_agree(counters, steps):
    assert counters.bytes_loaded == sum(step.loaded for step in steps)
    assert counters.bytes_stored == sum(step.stored for step in steps)
    assert counters.flops == sum(step.flops for step in steps)
    assert counters.peak_bytes == cost.peak_bytes(steps)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, SIZES, st.booleans(), st.sampled_from([2, 4, 8]))
def test_textbook_attention_step_by_step(B, L, S, H, D, masked, width):
    q, k, v = inputs(B, L, S, H, H, D, DTYPES[width])
    hidden = torch.zeros(L, S, dtype=torch.bool) if masked else None
    with ml.count() as c:
        textbook(q, k, v, hidden)
    assert_agree(c, cost.textbook_attention_steps(B, L, S, H, D, masked=masked, dtype_bytes=width))


@settings(max_examples=120, deadline=None)
@given(SIZES, SIZES, SIZES, GROUPS, SIZES, st.booleans(), st.booleans(), st.booleans(), st.sampled_from([2, 4, 8]))
def test_the_oracle_step_by_step(B, L, S, heads, D, causal, window, softcap, width):
    q, k, v = inputs(B, L, S, *heads, D, DTYPES[width])
    with ml.count() as c:
        naive_attention(q, k, v, causal=causal, window=3 if window else None, softcap=2.0 if softcap else 0.0)
    options = {"causal": causal, "window": window, "softcap": softcap, "dtype_bytes": width}
    assert_agree(c, cost.naive_attention_steps(B, L, S, *heads, D, **options))
    moved = cost.attention_bytes(B, L, S, *heads, D, **options)
    assert (moved.loaded, moved.stored) == (c.bytes_loaded, c.bytes_stored)
    assert c.flops == cost.attention_flops(B, L, S, heads[0], D).issued


def test_the_scores_dominate_what_the_naive_form_moves():
    moved = cost.attention_bytes(1, 4096, 4096, 8, 8, 64).moved
    table = cost.score_bytes(1, 8, 4096, 4096, dtype_bytes=4)
    assert 12 * table < moved < 13 * table
    assert moved > 190 * cost.ideal_attention_bytes(1, 4096, 4096, 8, 8, 64, dtype_bytes=4).moved


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(InvalidValue, match="12 and 5"):
        cost.attention_bytes(1, 4, 4, 12, 5, 8)


TINY = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48}
TINY |= {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
OURS = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48}
OURS |= {"num_layers": 3, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8}

FAMILIES = [
    ("Llama", {}, {}),
    ("Llama", {"tie_word_embeddings": True}, {"tied": True}),
    ("Llama", {"attention_bias": True}, {"qkv_bias": True, "output_bias": True}),
    ("Llama", {"mlp_bias": True}, {"mlp_bias": True}),
    ("Mistral", {}, {}),
    ("Qwen2", {}, {"qkv_bias": True}),
    ("Qwen3", {}, {"qk_norm": True}),
    ("Qwen3", {"tie_word_embeddings": True, "head_dim": 16}, {"tied": True, "qk_norm": True, "head_dim": 16}),
]


def build(family, device, **changes):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{family}Config")(**TINY | changes)
    with torch.device(device):
        return getattr(transformers, f"{family}ForCausalLM")(config).eval()


@pytest.mark.parametrize(("family", "theirs", "flags"), FAMILIES)
def test_parameters_of_models_that_transformers_builds(family, theirs, flags):
    model = build(family, "meta", **theirs)
    assert sum(p.numel() for p in model.parameters()) == cost.parameter_count(**OURS | flags)


def test_prefill_and_decode_flops_of_a_running_model():
    model = build("Llama", "cpu", attn_implementation="eager")
    B, L = 2, 7
    # Some releases of transformers work rotary angles out by a product of (D/2, 1) with (1, L); no formula counts that.
    angles = B * OURS["head_dim"]
    with torch.no_grad(), ml.count() as c:
        past = model(torch.zeros(B, L, dtype=torch.long), use_cache=True).past_key_values
    assert c.flops - cost.prefill_flops(B, L, **OURS) in (0, angles * L)
    with torch.no_grad(), ml.count() as c:
        model(torch.zeros(B, 1, dtype=torch.long), past_key_values=past)
    assert c.flops - B * cost.decode_flops_per_token(L + 1, **OURS) in (0, angles)


def test_causal_prefill_counts_half_the_pairs():
    full, half = (cost.prefill_flops(1, 64, **OURS, causal=causal) for causal in (False, True))
    assert full - half == 3 * 4 * 4 * 8 * (64 * 64 - 64 * 65 // 2)
