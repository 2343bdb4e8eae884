"""The four parts of a decoder layer: RMSNorm, rotary positions, attention with shared KV heads, and SwiGLU.

Each is a few lines. Query, key and value projections are stored as one matrix, and so are gate and up, because at batch 1
a token's time is mostly the number of operations started, not their size.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.attention.sdpa import attend
from minillm.cache.fit import ModelFacts
from minillm.model.config import ModelConfig, RopeScaling


class KVCache(Protocol):
    """What the decoder asks of a cache. Every layer attends once a pass; `advance` then counts what they have written.

    Token ids are (B, L), one row a text, or (T,) where `is_packed`: the new tokens of all texts one behind the other.
    """

    is_packed: bool

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Raise InvalidValue, before any work, when the cache is another model's or these ids do not fit in."""
        ...

    def positions(self, token_ids: Tensor) -> tuple[int, int] | Tensor:
        """Where the new tokens stand in their texts: (start, stop) when all rows agree, else a tensor shaped as the ids."""
        ...

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is with these ids: a plain int, so that no device has to be waited for."""
        ...

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k and v (…, G, D) of the new tokens; q (…, H, D) -> (…, H, D), causal over all that is kept of each text."""
        ...

    def advance(self, count: int) -> None:
        """Count `count` tokens a row, or T packed ones, that every layer has just written."""
        ...


class RMSNorm(nn.Module):
    """x (..., C) -> (..., C), divided by its root mean square and scaled per channel.

    Statistics are in float32, or float64 for float64 (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019).
    """

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype in (torch.float32, torch.float64):
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype)


def rotary_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None = None) -> Tensor:
    """Angular speeds (D/2,) in radians per token, float32.

    Pair i turns at theta^(-2i/D) (Su et al., "RoFormer", 2021), stretched as `scaling` says.
    """
    speeds = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    if scaling is None:
        return speeds
    if scaling.kind == "linear":
        return speeds / scaling.factor
    turns = scaling.original_max_position_embeddings * speeds / (2 * math.pi)  # full turns within the original context
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    keep = ((turns - low) / (high - low)).clamp(0, 1)  # 1: fast pairs, left alone; 0: slow pairs, stretched
    return keep * speeds + (1 - keep) * speeds / scaling.factor


def rotary_table(length: int, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """cos and signed sin, each (length, D) float32, for positions 0 to length − 1.

    The first half of the sine carries a minus sign, so that turning a pair is x·cos + roll(x, D/2)·sin.
    """
    speeds = rotary_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), speeds)  # (length, D/2)
    sin = angles.sin()
    return angles.cos().repeat(1, 2), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (…, heads, D), cos and sin (…, 1, D) -> (…, heads, D), each pair (i, i + D/2) turned by its position."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


class Attention(nn.Module):
    """x (B, L, C) or packed (T, C) -> the same: project to H query and G key/value heads, rotate, attend, project back.

    G = H is multi-head attention, G = 1 multi-query (Shazeer, 2019), anything between grouped-query (Ainslie et al., 2023).
    """

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer, self.window = layer, config.window_of(layer)
        self.heads = (config.num_heads, config.num_kv_heads, config.num_kv_heads)
        self.head_dim = config.head_dim
        self.qkv_proj = nn.Linear(config.hidden_size, sum(self.heads) * config.head_dim, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.num_heads * config.head_dim, config.hidden_size, bias=config.output_bias)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else None

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (…, C) -> q (…, H, D), k (…, G, D), v (…, G, D), queries and keys already rotated."""
        H, G, _ = self.heads
        qkv = self.qkv_proj(x).unflatten(-1, (H + 2 * G, self.head_dim))
        qk, v = qkv.split((H + G, G), dim=-2)
        cos, sin = cos.to(qkv.dtype), sin.to(qkv.dtype)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = qk.split((H, G), dim=-2)
            return rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin), v
        q, k = rotate(qk, cos, sin).split((H, G), dim=-2)
        return q, k, v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None = None) -> Tensor:
        q, k, v = self.project(x, cos, sin)
        if cache is None:
            out = attend(q, k, v, causal=True, window=self.window)
        else:
            out = cache.attend(self.layer, q, k, v, window=self.window)
        return self.o_proj(out.flatten(-2))


class SwiGLU(nn.Module):
    """x (…, C) -> (…, C): down(silu(gate(x)) · up(x)), F wide in the middle (Shazeer, "GLU Variants", 2020)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)
