"""Well-known open models in numbers, for calculators that must work with no network.

Each row is the architecture its authors published in `config.json`; no weights are involved. The sizes of vocabulary and
embeddings are those of the released checkpoints.
"""

from __future__ import annotations

from minillm.model.config import ModelConfig, RopeScaling

_LLAMA_31 = RopeScaling(
    "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192
)
_LLAMA_32 = RopeScaling(
    "llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192
)


def _llama3(
    C: int, F: int, N: int, H: int, D: int = 128, scaling: RopeScaling | None = _LLAMA_31, *, tied: bool = False
) -> ModelConfig:
    return ModelConfig(
        128_256,
        C,
        F,
        N,
        H,
        8,
        D,
        131_072,
        "llama",
        500_000.0,
        scaling,
        1e-5,
        tie_word_embeddings=tied,
        dtype="bfloat16",
    )


def _qwen25(
    C: int,
    F: int,
    N: int,
    H: int,
    G: int,
    *,
    vocab: int = 152_064,
    tied: bool = False,
    D: int = 128,
    length: int = 131_072,
) -> ModelConfig:
    return ModelConfig(
        vocab, C, F, N, H, G, D, length, "qwen2", 1_000_000.0, tie_word_embeddings=tied, qkv_bias=True, dtype="bfloat16"
    )


def _qwen3(C: int, F: int, N: int, H: int, *, tied: bool) -> ModelConfig:
    return ModelConfig(
        151_936,
        C,
        F,
        N,
        H,
        8,
        128,
        40_960,
        "qwen3",
        1_000_000.0,
        tie_word_embeddings=tied,
        qk_norm=True,
        dtype="bfloat16",
    )


KNOWN_CONFIGS: dict[str, ModelConfig] = {
    "Llama-2-7B": ModelConfig(32_000, 4096, 11_008, 32, 32, 32, 128, 4096, rms_norm_eps=1e-5, tie_word_embeddings=False, dtype="float16"),
    "Llama-2-70B": ModelConfig(32_000, 8192, 28_672, 80, 64, 8, 128, 4096, rms_norm_eps=1e-5, tie_word_embeddings=False, dtype="float16"),
    "Llama-3.2-1B": _llama3(2048, 8192, 16, 32, 64, _LLAMA_32, tied=True),
    "Llama-3.1-8B": _llama3(4096, 14_336, 32, 32),
    "Llama-3.1-70B": _llama3(8192, 28_672, 80, 64),
    "Llama-3.1-405B": _llama3(16_384, 53_248, 126, 128),
    "Mistral-7B-v0.1": ModelConfig(
        32_000, 4096, 14_336, 32, 32, 8, 128, 32_768, "mistral", 10_000.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
        sliding_window=4096, sliding_layers=tuple(range(32)), dtype="bfloat16",
    ),
    "Qwen2.5-0.5B": _qwen25(896, 4864, 24, 14, 2, vocab=151_936, tied=True, D=64, length=32_768),
    "Qwen2.5-7B": _qwen25(3584, 18_944, 28, 28, 4),
    "Qwen3-0.6B": _qwen3(1024, 3072, 28, 16, tied=True),
    "Qwen3-8B": _qwen3(4096, 12_288, 36, 32, tied=False),
    "Qwen3-32B": _qwen3(5120, 25_600, 64, 64, tied=False),
}  # fmt: skip
