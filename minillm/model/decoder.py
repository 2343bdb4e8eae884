"""The decoder: token ids in, a score for every possible next token out.

Embed, then N times (norm, attend, add; norm, feed forward, add), then norm and project onto the vocabulary. With a cache it
sees only the new tokens and remembers the rest; with none it sees the whole text at once. Both give the same scores.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.attention.naive import attention_probabilities
from minillm.cache.contiguous import ContiguousCache
from minillm.cache.fit import ModelFacts
from minillm.cache.paged import PagedCache
from minillm.cache.ring import RingCache
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.model.config import ModelConfig
from minillm.model.layers import Attention, KVCache, RMSNorm, SwiGLU, rotary_table


class DecoderLayer(nn.Module):
    """x (B, L, C) or packed (T, C) -> the same: attention and feed-forward, each normed before and added after."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = Attention(config, layer)
        self.post_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None = None) -> Tensor:
        x = x + self.attention(self.input_norm(x), cos, sin, cache)
        return x + self.mlp(self.post_norm(x))


class Decoder(nn.Module):
    """token_ids (B, L) int64, cache of S − L earlier tokens or None -> logits (B, L, V) in the weights' dtype.

    With a packed cache, token_ids (T,) -> logits (T, V): the new tokens of all its texts, one behind the other.
    One module for Llama, Mistral, Qwen2 and Qwen3; see ModelConfig. Raises InvalidType or InvalidValue, before any work,
    for ids that are not int64 of that shape on the model's device, lie outside the vocabulary or would run past
    `max_position_embeddings`, and for a cache of another model or batch, or without room.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = (
            None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        )
        self._rotary: tuple[Tensor, Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.embed_tokens.weight.dtype

    def num_parameters(self) -> int:
        """How many numbers were learned; tied embeddings count once."""
        return sum(p.numel() for p in self.parameters())

    def new_cache(self, batch: int = 1, max_length: int | None = None) -> ContiguousCache:
        """An empty cache for `batch` texts of up to `max_length` tokens (default: all the model can see)."""
        c = self.config
        return ContiguousCache(
            c.num_layers,
            batch,
            c.max_position_embeddings if max_length is None else max_length,
            c.num_kv_heads,
            c.head_dim,
            dtype=self.dtype,
            device=self.device,
        )

    def new_ring_cache(self, batch: int = 1, max_length: int | None = None, *, slack: int = 0) -> RingCache:
        """An empty cache for `batch` texts that keeps, where a layer slides, only its window and `slack` tokens before it.

        `max_length` is for layers that see everything, if any (default: all the model can see). Raises InvalidValue for a
        model without a window.
        """
        c = self.config
        if c.sliding_window is None or not c.sliding_layers:
            rule = "a ring is for a model with a sliding window"
            raise InvalidValue(rule_numbers_remedy(rule, f"a {c.family} model with none", "use new_cache"))
        return RingCache(
            c.num_layers,
            batch,
            c.num_kv_heads,
            c.head_dim,
            window=c.sliding_window,
            sliding_layers=c.sliding_layers,
            max_length=c.max_position_embeddings if max_length is None else max_length,
            slack=slack,
            dtype=self.dtype,
            device=self.device,
        )

    def new_paged_cache(self, num_blocks: int, block_size: int = 16, *, check: bool = False) -> PagedCache:
        """An empty pool of `num_blocks` blocks of `block_size` tokens, for texts of any number and length; see PagedCache."""
        c = self.config
        sizes = (c.num_layers, num_blocks, block_size, c.num_kv_heads, c.head_dim)
        return PagedCache(*sizes, dtype=self.dtype, device=self.device, check=check)

    def forward(self, token_ids: Tensor, cache: KVCache | None = None) -> Tensor:
        self.check_input(token_ids, cache)
        return self.logits(self.hidden_states(token_ids, cache))

    def hidden_states(self, token_ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """token_ids (B, L) or packed (T,) -> (…, C), normed; the cache, if any, grows. Input is trusted: see `check_input`."""
        cos, sin = self._rotary_for(token_ids, cache)
        x = self.embed_tokens(token_ids)
        for layer in self.layers:
            x = layer(x, cos, sin, cache)
        if cache is not None:
            cache.advance(token_ids.shape[-1])
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., C) -> (..., V). Split from `hidden_states` because prefill needs only the last row."""
        return F.linear(hidden, self.embed_tokens.weight) if self.lm_head is None else self.lm_head(hidden)

    def facts(self) -> ModelFacts:
        """What of this model a cache must match."""
        c = self.config
        windows = tuple(c.window_of(layer) for layer in range(c.num_layers))
        return ModelFacts(c.num_layers, c.num_kv_heads, c.head_dim, self.dtype, self.device, windows)

    def check_input(self, token_ids: Tensor, cache: KVCache | None = None) -> None:
        """Raise InvalidType or InvalidValue when these ids cannot be run."""
        if cache is not None and not hasattr(cache, "attend"):
            rule = "cache must be a KV cache, or None"
            raise InvalidType(rule_numbers_remedy(rule, type(cache).__name__, "make one with model.new_cache(batch)"))
        _check_ids(token_ids, cache is not None and cache.is_packed)
        if token_ids.device != self.device:
            rule = f"token_ids must be on the model's device, {self.device}"
            raise InvalidValue(rule_numbers_remedy(rule, str(token_ids.device), "move them with .to(model.device)"))
        if cache is not None:
            cache.check(self.facts(), token_ids)
        low, high = int(token_ids.min()), int(token_ids.max())
        if low < 0 or high >= self.config.vocab_size:
            wrong = low if low < 0 else high
            raise InvalidValue(
                f"token ids lie in 0 … {self.config.vocab_size - 1}; got {wrong}; encode with this model's own tokenizer."
            )
        total = token_ids.shape[-1] if cache is None else cache.reach(token_ids)
        if total > self.config.max_position_embeddings:
            limit = self.config.max_position_embeddings
            raise InvalidValue(
                f"the model was trained on at most {limit} positions; got {total}; shorten the text by {total - limit}."
            )

    def _rotary_for(self, token_ids: Tensor, cache: KVCache | None) -> tuple[Tensor, Tensor]:
        """cos and sin for the positions of these ids: (L, 1, D) when all rows agree, else (…, 1, D) shaped as the ids."""
        positions = (0, token_ids.shape[-1]) if cache is None else cache.positions(token_ids)
        if isinstance(positions, tuple):
            return self.rotary_rows(*positions)
        assert cache is not None
        cos, sin = self.rotary_rows(0, cache.reach(token_ids))
        return cos[positions], sin[positions]

    def rotary_rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """cos and sin (stop − start, 1, D) for these positions, from a table that doubles when a text outgrows it."""
        table = self._rotary
        if table is None or len(table[0]) < stop or table[0].device != self.device or table[0].dtype != self.dtype:
            length = min(self.config.max_position_embeddings, max(256, 2 ** (stop - 1).bit_length()))
            # Never made in inference mode, whoever asks first: a later pass that wants gradients could not use it.
            with nullcontext() if torch.compiler.is_compiling() else torch.inference_mode(False):
                # Angles are computed in float32: bfloat16 cannot tell position 257 from 258.
                cos, sin = rotary_table(length, self.config)
                table = self._rotary = (
                    cos.to(self.device, self.dtype).unsqueeze(1),
                    sin.to(self.device, self.dtype).unsqueeze(1),
                )
        return table[0][start:stop], table[1][start:stop]


def _check_ids(token_ids: Tensor, packed: bool) -> None:
    """int64 (B, L), or (T,) for a packed cache, and not empty."""
    shape, remedy = ("(T,)", "torch.tensor(ids)") if packed else ("(B, L)", "torch.tensor([ids])")
    if not isinstance(token_ids, Tensor) or token_ids.dtype != torch.int64 or token_ids.dim() != 2 - packed:
        kind = type(token_ids).__name__
        got = f"{tuple(token_ids.shape)} {token_ids.dtype}" if isinstance(token_ids, Tensor) else kind
        raise InvalidType(rule_numbers_remedy(f"token_ids must be an int64 tensor {shape}", got, f"use {remedy}"))
    if token_ids.numel() == 0:
        rule = "token_ids needs at least one text and one token"
        raise InvalidValue(rule_numbers_remedy(rule, f"{tuple(token_ids.shape)}", "add a token"))


@torch.no_grad()
def attention_maps(model: Decoder, token_ids: Tensor) -> Tensor:
    """token_ids (B, L) -> probabilities (N, B, H, L, L), float32 or wider: where every head of every layer looks.

    Reruns each layer's own projections and scores them naively; meant for pictures of short texts, since it holds N·B·H·L²
    numbers. Raises what `Decoder` raises.
    """
    model.check_input(token_ids)
    cos, sin = model.rotary_rows(0, token_ids.shape[1])
    x, maps = model.embed_tokens(token_ids), []
    for layer in cast("list[DecoderLayer]", model.layers):
        q, k, _ = layer.attention.project(layer.input_norm(x), cos, sin)
        maps.append(attention_probabilities(q, k, causal=True, window=layer.attention.window)[0])
        x = layer(x, cos, sin)
    return torch.stack(maps)
