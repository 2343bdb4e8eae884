"""Small random decoders of every family, and what a cache is held to: the decoder that reads the whole text each time."""

from functools import cache

import torch

from minillm.model import Decoder, ModelConfig
from minillm.model.config import RopeScaling

BASE = ModelConfig(61, 32, 48, 3, 4, 2, 8, max_position_embeddings=64)
FAMILIES = {
    "llama": BASE.with_(rope_scaling=RopeScaling("llama3", 8.0, original_max_position_embeddings=16)),
    "llama mha": BASE.with_(num_kv_heads=4, tie_word_embeddings=False, qkv_bias=True, output_bias=True, mlp_bias=True),
    "llama mqa": BASE.with_(num_kv_heads=1),
    "mistral": BASE.with_(family="mistral", sliding_window=5, sliding_layers=(0, 1, 2)),
    "mistral mha": BASE.with_(family="mistral", num_kv_heads=4, sliding_window=1, sliding_layers=(0, 1, 2)),
    "qwen2": BASE.with_(family="qwen2", qkv_bias=True),
    "qwen2 window": BASE.with_(family="qwen2", qkv_bias=True, sliding_window=6, sliding_layers=(1, 2)),
    "qwen3": BASE.with_(family="qwen3", qk_norm=True),
    "qwen3 window": BASE.with_(family="qwen3", qk_norm=True, num_kv_heads=1, sliding_window=7, sliding_layers=(0, 2)),
}
WINDOWED = tuple(name for name, config in FAMILIES.items() if config.sliding_window)


@cache
def decoder(name, dtype=torch.float64):
    """A decoder of that family, with norm weights and biases that are not at their starting values."""
    model = Decoder(FAMILIES[name]).to(dtype)
    random = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=random, dtype=torch.float64) * 0.3 + (weight.dim() == 1))
    return model.requires_grad_(False)


def text(length, seed=0, batch=1):
    """(batch, length) token ids."""
    return torch.randint(0, BASE.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


def relative(got, want):
    """How far two tensors are apart, as a fraction of the second."""
    assert got.shape == want.shape
    return ((got - want).norm() / want.norm()).item()


def read(model, token_ids, cache, chunks):
    """Run token_ids (B, L) through the cache in passes of these sizes -> logits (B, L, V)."""
    assert sum(chunks) == token_ids.shape[1]
    return torch.cat([model(part, cache) for part in token_ids.split(list(chunks), dim=1)], dim=1)


def write(model, prompt, cache, count):
    """Greedy decoding -> (count tokens, logits (count, V) they were chosen by)."""
    logits = [model(prompt, cache)[0, -1]]
    tokens = [int(logits[-1].argmax())]
    while len(tokens) < count:
        logits.append(model(torch.tensor([[tokens[-1]]]), cache)[0, -1])
        tokens.append(int(logits[-1].argmax()))
    return tokens, torch.stack(logits)


def write_without_cache(model, prompt, count):
    """The same, reading the whole text for every token."""
    tokens, logits = [], []
    for _ in range(count):
        whole = torch.cat((prompt, torch.tensor([tokens], dtype=torch.int64)), dim=1)
        logits.append(model(whole)[0, -1])
        tokens.append(int(logits[-1].argmax()))
    return tokens, torch.stack(logits)


def read_ragged(model, cache, prompts, steps):
    """Prompts of different lengths, read padded and truncated, then more tokens, `steps[i]` at a time for all rows.

    -> the worst relative distance from each text read alone and without a cache.
    """
    lengths = [len(prompt) for prompt in prompts]
    padded = torch.zeros(len(prompts), max(lengths), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        padded[row, : len(prompt)] = prompt
    logits = model(padded, cache)
    worst = max(relative(logits[b, :n], model(prompts[b][None])[0]) for b, n in enumerate(lengths))
    cache.truncate(lengths)
    texts = list(prompts)
    for i, count in enumerate(steps):
        new = text(count, seed=100 + i, batch=len(prompts))
        logits = model(new, cache)
        texts = [torch.cat((t, new[b])) for b, t in enumerate(texts)]
        worst = max(worst, *(relative(logits[b], model(t[None])[0, -count:]) for b, t in enumerate(texts)))
    assert cache.lengths.tolist() == [len(t) for t in texts]
    return worst
