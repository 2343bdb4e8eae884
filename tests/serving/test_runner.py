"""The plain decode step equals the decoder it was taken from, for every switch a family has."""

import pytest
import torch

from minillm.model import Decoder, ModelConfig
from minillm.model.config import RopeScaling
from minillm.serving.runner import DecodeLoop

BASE = ModelConfig(61, 32, 48, 3, 4, 2, 8, max_position_embeddings=64)
VARIANTS = {
    "gqa": BASE,
    "mha untied": BASE.with_(num_kv_heads=4, tie_word_embeddings=False),
    "mqa": BASE.with_(num_kv_heads=1),
    "llama3 rope": BASE.with_(rope_scaling=RopeScaling("llama3", 8.0, original_max_position_embeddings=16)),
    "biases": BASE.with_(qkv_bias=True, output_bias=True, mlp_bias=True),
    "qk norm": BASE.with_(family="qwen3", qk_norm=True),
    "window": BASE.with_(family="mistral", sliding_window=5, sliding_layers=(0, 2)),
}


def decoder(config, dtype):
    model = Decoder(config).to(dtype)
    random = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        # Norm weights and biases too: at their starting values a forgotten one would not show.
        weight.data.copy_(torch.randn(weight.shape, generator=random, dtype=torch.float64) * 0.3 + (weight.dim() == 1))
    return model.requires_grad_(False)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", VARIANTS)
def test_equals_the_decoder_step_by_step(name, batch):
    model = decoder(VARIANTS[name], torch.float64)
    ids = torch.randint(0, 61, (batch, 24), generator=torch.Generator().manual_seed(1))
    caches = [model.new_cache(batch, 24) for _ in range(2)]
    for cache in caches:
        model(ids[:, :7], cache)
    loop = DecodeLoop(model, caches[0])
    for i in range(7, 24):
        want = model(ids[:, i : i + 1], caches[1])[:, 0]
        got = loop.step(ids[:, i : i + 1])
        assert ((got - want).norm() / want.norm()).item() <= 1e-12
    assert caches[0].length == 24
    assert torch.allclose(caches[0].k, caches[1].k, rtol=1e-12, atol=1e-12)
    assert torch.allclose(caches[0].v, caches[1].v, rtol=1e-12, atol=1e-12)


def test_sixteen_bit_weights_keep_the_modules_rounding():
    model = decoder(BASE, torch.bfloat16)
    caches = [model.new_cache(1, 8) for _ in range(2)]
    loop = DecodeLoop(model, caches[0])
    for token in (5, 9, 60):
        ids = torch.tensor([[token]])
        assert torch.equal(loop.step(ids), model(ids, caches[1])[:, 0])


def test_no_weight_is_copied_where_they_are_read_as_they_lie():
    model = decoder(BASE, torch.float32)
    loop = DecodeLoop(model, model.new_cache(1, 8), "plain")
    assert loop.plain.layers[0].qkv.weight.data_ptr() == model.layers[0].attention.qkv_proj.weight.data_ptr()
    assert loop.plain.head.weight.data_ptr() == model.embed_tokens.weight.data_ptr()
