"""One decode step with nothing in the way: the decoder's own weights and arithmetic, without its modules.

At batch 1 a small model's token takes longer to organise than to compute. Calling forty modules, and normalising in six
operations where three will do, costs more than the multiplications. So the decode loop takes the weights out of the modules
once and runs the same layer as one plain function. Nothing is copied: these are the model's tensors and the cache's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.cache.contiguous import ContiguousCache
from minillm.cache.paged_batch import PagedBatch
from minillm.model.decoder import Decoder, DecoderLayer
from minillm.model.layers import RMSNorm

# Keep k, v (T, G, D) of the new tokens of a layer and attend with q (T, H, D) -> (T, H, D).
Attend = Callable[["Layer", Tensor, Tensor, Tensor], Tensor]

# Texts of different lengths are attended to one by one when a padded call would read so many bytes of keys more, for each
# text: about what a call costs. For 32 texts of 17 to 900 tokens the record of the caches has both ways.
WASTED_BYTES = 2**15


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
    """All that one layer needs for its tokens, but for the cache."""

    number: int
    window: int | None
    input_norm: Norm
    qkv: Linear
    q_norm: Norm | None
    k_norm: Norm | None
    output: Linear
    post_norm: Norm
    gate_up: Linear
    down: Linear


class PlainDecoder:
    """A model's weights, for running any number of tokens, each of a text of its own or not.

    Equal to the modules up to rounding. Weights of 16 bits are rounded between operations, so `fits` is False for those, and
    the modules should be called instead.
    """

    def __init__(self, model: Decoder):
        self.layers = [_take_apart(layer) for layer in cast("list[DecoderLayer]", model.layers)]
        self.norm = _norm(model.norm)
        self.embedding = model.embed_tokens.weight
        head = model.embed_tokens if model.lm_head is None else model.lm_head
        self.head = Linear(cast("Tensor", head.weight), None)
        self.heads = (model.config.num_heads, model.config.num_kv_heads, model.config.head_dim)

    @staticmethod
    def fits(model: Decoder) -> bool:
        """Whether the arithmetic here gives what the modules give."""
        return model.dtype in (torch.float32, torch.float64)

    def run(self, token_ids: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """token_ids (T,), cos and sin (1, D) or (T, 1, D) -> hidden states (T, C), not yet normed."""
        H, _, D = self.heads
        x = F.embedding(token_ids, self.embedding)
        for layer in self.layers:
            q, k, v = self._project(layer, x, cos, sin)
            x = x + F.linear(attend(layer, q, k, v).reshape(-1, H * D), *layer.output)
            gate, up = F.linear(_normalise(x, layer.post_norm), *layer.gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, *layer.down)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Hidden states (T, C) of `run` -> (T, V)."""
        return F.linear(_normalise(x, self.norm), *self.head)

    def _project(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (T, C) -> q (T, H, D), k (T, G, D), v (T, G, D), queries and keys rotated."""
        H, G, D = self.heads
        qkv = F.linear(_normalise(x, layer.input_norm), *layer.qkv).view(-1, H + 2 * G, D)
        qk = qkv.narrow(1, 0, H + G)
        if layer.q_norm is not None and layer.k_norm is not None:
            qk = torch.cat((_normalise(qk[:, :H], layer.q_norm), _normalise(qk[:, H:], layer.k_norm)), dim=1)
        qk = torch.addcmul(qk * cos, qk.roll(D // 2, dims=-1), sin)
        return qk.narrow(1, 0, H), qk.narrow(1, H, G), qkv.narrow(1, H + G, G)


class DecodeLoop:
    """A model and a contiguous cache -> `step(token_ids)`, one new token for each text of the cache.

    Equal to `model(token_ids, cache)` up to rounding. Trusts its input: the cache must have room.
    """

    def __init__(self, model: Decoder, cache: ContiguousCache):
        self.model, self.cache = model, cache
        self.is_plain = PlainDecoder.fits(model)
        if not self.is_plain:
            return
        self.plain = PlainDecoder(model)
        self.cos, self.sin = model.rotary_rows(0, min(cache.max_length, model.config.max_position_embeddings))
        # Per layer (B, G, S_max, D), views of the cache.
        self.keys, self.values = cache.k.transpose(2, 3).unbind(), cache.v.transpose(2, 3).unbind()

    @torch.inference_mode()
    def step(self, token_ids: Tensor) -> Tensor:
        """token_ids (B, 1) -> logits (B, V) of what follows; the cache grows by one."""
        if not self.is_plain:
            return self.model.logits(self.model.hidden_states(token_ids, self.cache)[:, -1])
        lengths = self.cache.lengths.tolist()
        if lengths.count(lengths[0]) == len(lengths):
            cos, sin, attend = self.cos[lengths[0]], self.sin[lengths[0]], self._together(lengths[0])
        else:
            rows = self.cache.lengths.to(token_ids.device)
            cos, sin = self.cos[rows], self.sin[rows]
            attend = self._one_by_one(lengths, rows) if self._padding_is_waste(lengths) else self._padded
        x = self.plain.run(token_ids[:, 0], cos, sin, attend)
        self.cache.advance(1)
        return self.plain.logits(x)

    def _together(self, position: int) -> Attend:
        """All texts at one position: no mask, one call."""
        _, G, D = self.plain.heads

        def attend(layer: Layer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[layer.number], self.values[layer.number]
            keys.select(2, position).copy_(k)
            values.select(2, position).copy_(v)
            start = 0 if layer.window is None else max(0, position + 1 - layer.window)
            count = position + 1 - start
            # The H / G query heads of a key head are the rows of one product, so every key is read once.
            rows = q.reshape(len(q), G, -1, D)
            return F.scaled_dot_product_attention(rows, keys.narrow(2, start, count), values.narrow(2, start, count))

        return attend

    def _one_by_one(self, lengths: list[int], positions: Tensor) -> Attend:
        """Texts at positions of their own, one call each: what padding would read is not read."""
        _, G, D = self.plain.heads
        texts = torch.arange(len(lengths), device=positions.device)

        def attend(layer: Layer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.cache.k[layer.number][texts, positions] = k
            self.cache.v[layer.number][texts, positions] = v
            rows = q.reshape(len(q), 1, G, -1, D)
            parts = []
            for row, keys, values, position in zip(
                rows, self.keys[layer.number], self.values[layer.number], lengths, strict=True
            ):
                start = 0 if layer.window is None else max(0, position + 1 - layer.window)
                seen = slice(start, position + 1)
                parts.append(F.scaled_dot_product_attention(row, keys[None, :, seen], values[None, :, seen]))
            return torch.cat(parts)

        return attend

    def _padded(self, layer: Layer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Texts at positions of their own, one masked call over the longest, as the cache does it."""
        new = (x.unsqueeze(1) for x in (q, k, v))
        return self.cache.attend(layer.number, *new, window=layer.window)

    def _padding_is_waste(self, lengths: list[int]) -> bool:
        _, G, D = self.plain.heads
        unseen = max(lengths) * len(lengths) - sum(lengths)
        return unseen * G * D * self.cache.k.element_size() > len(lengths) * WASTED_BYTES


class PagedLoop:
    """A model -> `step(token_ids, batch)`: the new tokens of many texts, in a paged cache, in one pass.

    Decoding, reading prompts, and any mixture. Equal to `model(token_ids, batch)` at the rows asked for, by default each
    text's last, up to rounding. Trusts its input.
    """

    def __init__(self, model: Decoder):
        self.model = model
        self.plain = PlainDecoder(model) if PlainDecoder.fits(model) else None
        self._read_rotary(1)

    @torch.inference_mode()
    def step(self, token_ids: Tensor, batch: PagedBatch, rows: Tensor | None = None) -> Tensor:
        """token_ids (T,) -> logits (B, V) of what follows each text of the batch, or (n, V) of what follows packed `rows` (n,)."""
        if self.plain is None:
            hidden = self.model.hidden_states(token_ids, batch)
            return self.model.logits(_wanted(hidden, batch, rows))

        def attend(layer: Layer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return batch.attend(layer.number, q, k, v, window=layer.window)

        cos, sin = self._rotary(token_ids, batch)
        return self.plain.logits(_wanted(self.plain.run(token_ids, cos, sin, attend), batch, rows))

    def _rotary(self, token_ids: Tensor, batch: PagedBatch) -> tuple[Tensor, Tensor]:
        """cos and sin (T, 1, D) of the new tokens' positions."""
        positions = batch.positions(token_ids)
        stop = positions[1] if isinstance(positions, tuple) else batch.max_seq_len
        if stop > len(self.cos):
            self._read_rotary(min(2 * stop, self.model.config.max_position_embeddings))
        if isinstance(positions, tuple):
            start = positions[0]
            if stop - start == 1:
                return self.one_cos[start], self.one_sin[start]
            return self.cos.narrow(0, start, stop - start), self.sin.narrow(0, start, stop - start)
        return self.cos[positions], self.sin[positions]

    def _read_rotary(self, length: int) -> None:
        """The model's own table for so many positions; `one_cos` and `one_sin` are its rows, found without an operation."""
        self.cos, self.sin = self.model.rotary_rows(0, length)
        self.one_cos, self.one_sin = self.cos.unbind(), self.sin.unbind()  # one (1, D) a position


def _wanted(hidden: Tensor, batch: PagedBatch, rows: Tensor | None) -> Tensor:
    """hidden (T, C) -> (B, C), the last row of each text, or (n, C), these rows (n,)."""
    return batch.last_rows(hidden) if rows is None else hidden.index_select(0, rows)


def _normalise(x: Tensor, norm: Norm) -> Tensor:
    """x (..., C) -> x over its root mean square, times the weight: RMSNorm in few operations."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * (norm.weight * torch.rsqrt(torch.addcmul(norm.eps, size, size, value=norm.share)))


def _take_apart(layer: DecoderLayer) -> Layer:
    attention, mlp = layer.attention, layer.mlp
    return Layer(
        number=attention.layer,
        window=attention.window,
        input_norm=_norm(layer.input_norm),
        qkv=_linear(attention.qkv_proj),
        q_norm=None if attention.q_norm is None else _norm(attention.q_norm),
        k_norm=None if attention.k_norm is None else _norm(attention.k_norm),
        output=_linear(attention.o_proj),
        post_norm=_norm(layer.post_norm),
        gate_up=_linear(mlp.gate_up_proj),
        down=_linear(mlp.down_proj),
    )


def _norm(norm: RMSNorm) -> Norm:
    weight = norm.weight
    return Norm(weight, torch.tensor(norm.eps, dtype=weight.dtype, device=weight.device), 1 / weight.numel())


def _linear(linear: torch.nn.Linear) -> Linear:
    return Linear(linear.weight, linear.bias)
