"""Our one decoder against transformers' four, on randomly initialised checkpoints written by transformers itself."""

import json

import pytest
import torch
import transformers

import minillm as ml
from minillm.model import attention_maps

SIZES = dict(
    vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
    num_key_value_heads=2, max_position_embeddings=256, attn_implementation="eager",
)  # fmt: skip
LLAMA3_ROPE = dict(
    rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)  # fmt: skip
CASES = {
    "llama": ("Llama", {}),
    "llama-mha-biased": ("Llama", dict(num_key_value_heads=6, attention_bias=True, mlp_bias=True)),
    "llama-mqa-tied": ("Llama", dict(num_key_value_heads=1, tie_word_embeddings=True)),
    "llama3-rope": ("Llama", dict(rope_parameters=LLAMA3_ROPE)),
    "llama-linear-rope": ("Llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=4.0))),
    "mistral-window": ("Mistral", dict(sliding_window=9, head_dim=16)),
    "qwen2": ("Qwen2", {}),
    "qwen2-window": ("Qwen2", dict(use_sliding_window=True, sliding_window=9, max_window_layers=1)),
    "qwen3": ("Qwen3", dict(head_dim=16)),
    "qwen3-biased-tied": ("Qwen3", dict(head_dim=16, attention_bias=True, tie_word_embeddings=True)),
}


def checkpoint(name, folder, **save):
    family, changes = CASES[name]
    config = getattr(transformers, f"{family}Config")(**{**SIZES, **changes})
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        # transformers starts biases at 0 and norms at 1, where a swapped or forgotten one would not show.
        parameter.data.normal_(std=0.2)
    model.save_pretrained(folder, **save)
    return model


def relative(got, want):
    return ((got - want).norm() / want.norm()).item()


@pytest.mark.parametrize("name", CASES)
def test_logits_equal_transformers(name, tmp_path):
    theirs = checkpoint(name, tmp_path)
    ours = ml.load_model(tmp_path)
    ids = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = theirs(ids).logits
        assert relative(ours(ids), want) <= 1e-5


@pytest.mark.parametrize("name", CASES)
def test_cached_equals_uncached_under_any_chunking(name, tmp_path):
    checkpoint(name, tmp_path)
    ours = ml.load_model(tmp_path, dtype="float64")
    ids = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(1))
    cache = ours.new_cache(batch=2, max_length=40)
    chunks = [ours(ids[:, a:b], cache) for a, b in ((0, 7), (7, 8), (8, 9), (9, 30), (30, 40))]
    assert relative(torch.cat(chunks, dim=1), ours(ids)) <= 1e-12


def test_sharded_checkpoint_loads_the_same(tmp_path):
    theirs = checkpoint("llama", tmp_path, max_shard_size="40KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert relative(ml.load_model(tmp_path)(ids), theirs(ids).logits) <= 1e-5


def test_older_rope_spelling_means_the_same(tmp_path):
    checkpoint("llama3-rope", tmp_path)
    ids = torch.arange(60)[None]
    want = ml.load_model(tmp_path)(ids)
    path = tmp_path / "config.json"
    raw = json.loads(path.read_text())
    rope = raw.pop("rope_parameters")
    raw["rope_theta"] = rope.pop("rope_theta")
    raw["rope_scaling"] = {"type": rope.pop("rope_type"), **rope}
    path.write_text(json.dumps(raw))
    assert torch.equal(ml.load_model(tmp_path)(ids), want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_transformers(dtype, tmp_path):
    theirs = checkpoint("qwen3", tmp_path).to(dtype)
    ours = ml.load_model(tmp_path, dtype=dtype)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        assert ours(ids).dtype == dtype
        assert relative(ours(ids).float(), theirs(ids).logits.float()) <= (0.05 if dtype == torch.bfloat16 else 0.008)


def test_attention_maps_are_the_probabilities_the_layers_use(tmp_path):
    theirs = checkpoint("mistral-window", tmp_path)
    ids = torch.arange(30)[None]
    with torch.no_grad():
        want = torch.stack(theirs(ids, output_attentions=True).attentions)
    got = attention_maps(ml.load_model(tmp_path), ids)
    assert torch.allclose(got, want, atol=1e-5)
