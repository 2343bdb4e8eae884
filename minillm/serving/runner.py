"""One decode step with nothing in the way: the decoder's own weights and arithmetic, without its modules.

At batch 1 a small model's token takes longer to organise than to compute. Calling forty modules, and normalising in six
operations where three will do, costs more than the multiplications. So the decode loop takes the weights out of the modules
once and runs the same layer as one plain function. Nothing is copied: these are the model's tensors and the cache's memory.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.cache.contiguous import ContiguousCache
from minillm.model.decoder import Decoder, DecoderLayer
from minillm.model.layers import RMSNorm


class Norm(NamedTuple):
    """An RMSNorm taken apart: weight (C,), epsilon as a tensor, and 1 / C."""

    weight: Tensor
    eps: Tensor
    share: float


class Linear(NamedTuple):
    """A matrix (out, in) and its bias (out,) or None."""

    weight: Tensor
    bias: Tensor | None


class Layer(NamedTuple):
    """All that one layer needs for one token: its weights, and its keys and values as the cache holds them."""

    input_norm: Norm
    qkv: Linear
    q_norm: Norm | None
    k_norm: Norm | None
    output: Linear
    post_norm: Norm
    gate_up: Linear
    down: Linear
    keys: Tensor  # (B, G, S_max, D), a view of the cache
    values: Tensor
    window: int | None


class DecodeLoop:
    """A model and a cache -> `step(token_ids)`, one new token for each text of the cache.

    Equal to `model(token_ids, cache)` up to rounding. Weights of 16 bits are rounded between operations, so there the
    modules are called instead, and the rounding stays theirs. Trusts its input: the cache must have room.
    """

    def __init__(self, model: Decoder, cache: ContiguousCache):
        self.model, self.cache = model, cache
        self.is_plain = model.dtype in (torch.float32, torch.float64)
        if not self.is_plain:
            return
        cos, sin = model.rotary_rows(0, min(cache.max_length, model.config.max_position_embeddings))
        self.cos, self.sin = cos.unbind(), sin.unbind()  # one (1, D) a position
        self.layers = [_take_apart(layer, cache) for layer in cast("list[DecoderLayer]", model.layers)]
        self.norm = _norm(model.norm)
        head = model.embed_tokens if model.lm_head is None else model.lm_head
        self.head = Linear(cast("Tensor", head.weight), None)
        self.heads = (model.config.num_heads, model.config.num_kv_heads, model.config.head_dim)

    @torch.inference_mode()
    def step(self, token_ids: Tensor) -> Tensor:
        """token_ids (B, 1) -> logits (B, V) of what follows; the cache grows by one."""
        if not self.is_plain:
            return self.model.logits(self.model.hidden_states(token_ids, self.cache)[:, -1])
        position = self.cache.length
        cos, sin = self.cos[position], self.sin[position]
        x = F.embedding(token_ids[:, 0], self.model.embed_tokens.weight)  # (B, C)
        for layer in self.layers:
            x = x + F.linear(self._attend(layer, x, cos, sin, position), *layer.output)
            gate, up = F.linear(_normalise(x, layer.post_norm), *layer.gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, *layer.down)
        self.cache.advance(1)
        return F.linear(_normalise(x, self.norm), *self.head)

    def _attend(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor, position: int) -> Tensor:
        """x (B, C) -> (B, H·D): one query a head against every key so far, its own included."""
        H, G, D = self.heads
        B = x.shape[0]
        qkv = F.linear(_normalise(x, layer.input_norm), *layer.qkv).view(B, H + 2 * G, D)
        qk = qkv.narrow(1, 0, H + G)
        if layer.q_norm is not None and layer.k_norm is not None:
            qk = torch.cat((_normalise(qk[:, :H], layer.q_norm), _normalise(qk[:, H:], layer.k_norm)), dim=1)
        qk = torch.addcmul(qk * cos, qk.roll(D // 2, dims=-1), sin)
        layer.keys.select(2, position).copy_(qk.narrow(1, H, G))
        layer.values.select(2, position).copy_(qkv.narrow(1, H + G, G))
        start = 0 if layer.window is None else max(0, position + 1 - layer.window)
        keys = layer.keys.narrow(2, start, position + 1 - start)
        values = layer.values.narrow(2, start, position + 1 - start)
        # The H / G query heads of a key head are the rows of one product, so every key is read once.
        rows = qk.narrow(1, 0, H).reshape(B, G, H // G, D)
        return F.scaled_dot_product_attention(rows, keys, values).reshape(B, H * D)


def _normalise(x: Tensor, norm: Norm) -> Tensor:
    """x (..., C) -> x over its root mean square, times the weight: RMSNorm in few operations."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * (norm.weight * torch.rsqrt(torch.addcmul(norm.eps, size, size, value=norm.share)))


def _take_apart(layer: DecoderLayer, cache: ContiguousCache) -> Layer:
    attention, mlp = layer.attention, layer.mlp
    return Layer(
        input_norm=_norm(layer.input_norm),
        qkv=_linear(attention.qkv_proj),
        q_norm=None if attention.q_norm is None else _norm(attention.q_norm),
        k_norm=None if attention.k_norm is None else _norm(attention.k_norm),
        output=_linear(attention.o_proj),
        post_norm=_norm(layer.post_norm),
        gate_up=_linear(mlp.gate_up_proj),
        down=_linear(mlp.down_proj),
        keys=cache.k[attention.layer].transpose(1, 2),
        values=cache.v[attention.layer].transpose(1, 2),
        window=attention.window,
    )


def _norm(norm: RMSNorm) -> Norm:
    weight = norm.weight
    return Norm(weight, torch.tensor(norm.eps, dtype=weight.dtype, device=weight.device), 1 / weight.numel())


def _linear(linear: torch.nn.Linear) -> Linear:
    return Linear(linear.weight, linear.bias)
