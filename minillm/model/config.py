"""The numbers that make a decoder: how wide, how deep, how many heads, and which of four families it belongs to.

Llama, Mistral, Qwen2 and Qwen3 are one architecture with four sets of switches (biases, query/key norms, sliding windows,
rotary scaling), so one frozen dataclass describes them all. It is read from a Hugging Face `config.json` and written back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from minillm.errors import (
    FileProblem,
    InvalidType,
    InvalidValue,
    Unsupported,
    nearest_divisors,
    nearest_name,
    rule_numbers_remedy,
)
from minillm.measure.numbers import require_positive, require_whole

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
SIZES = ("vocab_size", "hidden_size", "intermediate_size")  # spelled alike by Hugging Face and by us


@dataclass(frozen=True)
class RopeScaling:
    """How rotary frequencies are stretched for longer texts.

    `kind` is "linear" (every wavelength times `factor`) or "llama3" (only wavelengths longer than the original context,
    with a smooth ramp between; Meta, "The Llama 3 Herd of Models", 2024). Lengths are in tokens.
    """

    kind: str
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "llama3"):
            raise Unsupported(
                f"rope scaling must be 'linear' or 'llama3'; got {self.kind!r}; use a checkpoint without it."
            )
        require_positive(factor=self.factor, low_freq_factor=self.low_freq_factor)
        require_whole(original_max_position_embeddings=self.original_max_position_embeddings)
        if self.factor < 1.0:
            raise InvalidValue(
                rule_numbers_remedy("rope scaling factor must be at least 1", f"{self.factor}", "check config.json")
            )
        require_positive(**{"high_freq_factor − low_freq_factor": self.high_freq_factor - self.low_freq_factor})


@dataclass(frozen=True)
class ModelConfig:
    """A decoder in numbers. Widths are in elements, lengths in tokens; the letters are the README's alphabet.

    Raises InvalidType for a size that is no whole number, InvalidValue when one is not positive or heads do not divide, and
    Unsupported for another family.
    """

    vocab_size: int  # V
    hidden_size: int  # C
    intermediate_size: int  # F
    num_layers: int  # N
    num_heads: int  # H
    num_kv_heads: int  # G: equal to H is MHA, 1 is MQA, between is GQA
    head_dim: int  # D
    max_position_embeddings: int = 2048
    family: str = "llama"
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    sliding_window: int | None = None  # how many keys, itself included, a query sees in a sliding layer
    sliding_layers: tuple[int, ...] = ()  # which layers slide; the others see everything
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = field(default=())
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in (*SIZES, "num_layers", "num_heads", "num_kv_heads", "head_dim", "max_position_embeddings"):
            require_whole(**{name: getattr(self, name)})
        if self.sliding_window is not None:
            require_whole(sliding_window=self.sliding_window)
        require_positive(rope_theta=self.rope_theta, rms_norm_eps=self.rms_norm_eps)
        if self.num_heads % self.num_kv_heads:
            raise InvalidValue(
                f"num_heads must be a multiple of num_kv_heads; got {self.num_heads} and {self.num_kv_heads}; "
                f"nearest valid num_kv_heads: {nearest_divisors(self.num_heads, self.num_kv_heads)}."
            )
        if self.head_dim % 2:
            raise InvalidValue(
                rule_numbers_remedy(
                    "head_dim must be even for rotary positions", str(self.head_dim), f"use {self.head_dim + 1}"
                )
            )
        if self.family not in FAMILIES:
            raise Unsupported(
                f"unknown family {self.family!r}{nearest_name(self.family, FAMILIES)}; known: {', '.join(FAMILIES)}."
            )

    def with_(self, **changes: Any) -> ModelConfig:
        """A copy with some fields changed; refuses an unknown field with the nearest name."""
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise InvalidValue(f"ModelConfig has no field {name!r}{nearest_name(name, known)}.")
        return replace(self, **changes)

    def window_of(self, layer: int) -> int | None:
        """The sliding window of one layer in tokens, or None where the layer sees everything."""
        return self.sliding_window if layer in self.sliding_layers else None

    @classmethod
    def from_file(cls, path: str | Path) -> ModelConfig:
        """Read a Hugging Face `config.json`. Raises FileProblem when it is absent or is not JSON, else as `from_hf`."""
        try:
            return cls.from_hf(json.loads(Path(path).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise FileProblem(
                f"no config.json at {path}; a checkpoint folder holds config.json and model.safetensors."
            ) from None
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise FileProblem(f"{path} cannot be read as JSON ({error}); download the checkpoint again.") from None

    @classmethod
    def from_hf(cls, raw: dict[str, Any]) -> ModelConfig:
        """Build from a parsed Hugging Face configuration, in the older (`rope_theta`, `rope_scaling`) or newer
        (`rope_parameters`) spelling. Raises Unsupported, with what is supported, for another architecture."""
        if not isinstance(raw, dict):
            rule = "config.json must hold a table of names"
            raise InvalidType(rule_numbers_remedy(rule, type(raw).__name__, "download the checkpoint again"))
        family = raw.get("model_type", "")
        if family not in FAMILIES:
            raise Unsupported(
                f"model_type must be one of {', '.join(FAMILIES)}; got {family!r}; use transformers for this one."
            )
        if raw.get("hidden_act", "silu") != "silu":
            raise Unsupported(f"only SwiGLU feed-forwards are built (hidden_act 'silu'); got {raw['hidden_act']!r}.")
        stated: dict[str, Any] = {name: raw.get(name) for name in (*SIZES, "num_hidden_layers", "num_attention_heads")}
        missing = [name for name, size in stated.items() if size is None]
        if missing:
            raise InvalidValue(
                f"config.json must state its sizes; missing: {', '.join(missing)}; download the checkpoint again."
            )
        require_whole(**stated)
        heads = raw["num_attention_heads"]
        theta, scaling = _rope(raw)
        window, sliding = _sliding(raw, family)
        eos = raw.get("eos_token_id")
        bias = bool(raw.get("attention_bias", False))
        return cls(
            vocab_size=raw["vocab_size"],
            hidden_size=raw["hidden_size"],
            intermediate_size=raw["intermediate_size"],
            num_layers=raw["num_hidden_layers"],
            num_heads=heads,
            num_kv_heads=raw.get("num_key_value_heads") or heads,
            head_dim=raw.get("head_dim") or raw["hidden_size"] // heads,
            max_position_embeddings=raw.get("max_position_embeddings", 2048),
            family=family,
            rope_theta=theta,
            rope_scaling=scaling,
            rms_norm_eps=raw.get("rms_norm_eps", 1e-6),
            tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
            qkv_bias=True if family == "qwen2" else bias and family != "mistral",
            output_bias=bias and family in ("llama", "qwen3"),
            mlp_bias=bool(raw.get("mlp_bias", False)) and family == "llama",
            qk_norm=family == "qwen3",
            sliding_window=window,
            sliding_layers=sliding,
            bos_token_id=raw.get("bos_token_id"),
            eos_token_ids=() if eos is None else tuple(eos) if isinstance(eos, list) else (eos,),
            dtype=str(raw.get("dtype") or raw.get("torch_dtype") or "float32"),
        )

    def to_hf(self) -> dict[str, Any]:
        """The Hugging Face spelling of this configuration, as `transformers` reads it (Llama family only: what we train)."""
        slides = self.sliding_window is not None and bool(self.sliding_layers)
        if self.family != "llama" or self.qk_norm or slides or self.qkv_bias != self.output_bias:
            raise Unsupported(
                f"only what Llama's format can say is written: no q/k norm, no window, one flag for all attention biases; "
                f"got family {self.family!r}, qk_norm={self.qk_norm}, window={self.sliding_window}, "
                f"qkv_bias={self.qkv_bias}, output_bias={self.output_bias}; save its state_dict instead."
            )
        eos = list(self.eos_token_ids)
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.max_position_embeddings,
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": None if self.rope_scaling is None else _scaling_to_hf(self.rope_scaling),
            "attention_bias": self.qkv_bias,
            "mlp_bias": self.mlp_bias,
            "tie_word_embeddings": self.tie_word_embeddings,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos[0] if len(eos) == 1 else eos or None,
            "torch_dtype": self.dtype,
        }


def _rope(raw: dict[str, Any]) -> tuple[float, RopeScaling | None]:
    newer = raw.get("rope_parameters") or {}
    older = raw.get("rope_scaling") or {}
    for table in (older, newer):
        if not isinstance(table, dict):
            rule = "rope_scaling and rope_parameters must be tables"
            raise InvalidType(rule_numbers_remedy(rule, repr(table), "check config.json"))
    rope = {"factor": None, **older, **newer}
    theta = newer.get("rope_theta") or raw.get("rope_theta") or 10_000.0
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return theta, None
    known = {f.name for f in fields(RopeScaling)} - {"kind"}
    return theta, RopeScaling(kind=kind, **{k: v for k, v in rope.items() if k in known})


def _scaling_to_hf(scaling: RopeScaling) -> dict[str, Any]:
    spelled = asdict(scaling)
    return {"rope_type": spelled.pop("kind"), **spelled}


def _sliding(raw: dict[str, Any], family: str) -> tuple[int | None, tuple[int, ...]]:
    layers = range(raw["num_hidden_layers"])
    window = raw.get("sliding_window")
    if family == "llama" or window is None:
        return None, ()
    if family == "mistral":
        return window, tuple(layers)
    if not raw.get("use_sliding_window", False):
        return None, ()
    kinds = raw.get("layer_types")
    if kinds:
        return window, tuple(i for i in layers if kinds[i] == "sliding_attention")
    return window, tuple(i for i in layers if i >= raw.get("max_window_layers", 28))
