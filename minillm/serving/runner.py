"""One pass of a model over a cache: a plain decoder that does the multiplying, and a cache that is written and attended to.

The contiguous cache's memory is used as it is, with no call in between; the paged one is asked through its batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.cache.contiguous import ContiguousCache
from minillm.cache.paged_batch import PagedBatch
from minillm.model.decoder import Decoder
from minillm.serving.compute.packed_linear import choose_layout
from minillm.serving.compute.plain_decoder import Attend, Layer, PlainDecoder, plain_decoder

# Texts of different lengths are attended to one by one when a padded call would read so many bytes of keys more, for each
# text: about what a call costs. For 32 texts of 17 to 900 tokens the record of the caches has both ways.
WASTED_BYTES = 2**15


class DecodeLoop:
    """A model and a contiguous cache -> `step(token_ids)`, one new token for each text of the cache.

    Equal to `model(token_ids, cache)` up to rounding. Trusts its input: the cache must have room. `weights`: see PlainDecoder.
    """

    def __init__(self, model: Decoder, cache: ContiguousCache, weights: str = "auto"):
        self.model, self.cache = model, cache
        self.is_plain = PlainDecoder.fits(model)
        if not self.is_plain:
            return
        self.plain = plain_decoder(model, weights)
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
    text's last, up to rounding. Trusts its input. `weights`: see PlainDecoder.
    """

    def __init__(self, model: Decoder, weights: str = "auto"):
        self.model = model
        self.plain = None
        if PlainDecoder.fits(model):
            self.plain = plain_decoder(model, weights)
        else:
            choose_layout(weights, 0, model.dtype, model.device, 0)  # refuses what only a PlainDecoder has
        self._read_rotary(1)

    @torch.inference_mode()
    def step(self, token_ids: Tensor, batch: PagedBatch, rows: Tensor | None = None) -> Tensor:
        """token_ids (T,) -> logits (B, V) of what follows each text of the batch, or (n, V) of what follows packed `rows` (n,)."""
        if self.plain is None:
            hidden = self.model.hidden_states(token_ids, batch)
            return self.model.logits(_wanted(hidden, batch, rows))

        cos, sin = self._rotary(token_ids, batch)
        hidden = self.plain.run(token_ids, cos, sin, self._attend(batch, self.plain.heads[0]))
        return self.plain.logits(_wanted(hidden, batch, rows))

    def _attend(self, batch: PagedBatch, num_heads: int) -> Attend:
        """Through the batch, or by the loops in C where the weights are theirs too, and they can."""
        loops = None if self.plain is None else self.plain.loops
        if loops is not None and loops.can_attend(batch, num_heads):
            pages, attention = batch.cache.pages, loops.Attention(batch, num_heads)

            def attend(layer: Layer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                attention.keep(k, v, pages[layer.number])
                return attention.attend(q, pages[layer.number], layer.window)

            return attend
        return lambda layer, q, k, v: batch.attend(layer.number, q, k, v, window=layer.window)

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
        return self.cos.index_select(0, positions), self.sin.index_select(0, positions)

    def _read_rotary(self, length: int) -> None:
        """The model's own table for so many positions; `one_cos` and `one_sin` are its rows, found without an operation."""
        self.cos, self.sin = self.model.rotary_rows(0, length)
        self.one_cos, self.one_sin = self.cos.unbind(), self.sin.unbind()  # one (1, D) a position


def _wanted(hidden: Tensor, batch: PagedBatch, rows: Tensor | None) -> Tensor:
    """hidden (T, C) -> (B, C), the last row of each text, or (n, C), these rows (n,)."""
    return batch.last_rows(hidden) if rows is None else hidden.index_select(0, rows)
