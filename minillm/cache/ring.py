"""A cache for sliding windows: a layer that sees only the last `window` tokens keeps only those, in a ring.

Position p lives in slot p mod R, so the newest token takes the place of the oldest, and memory stays flat however long the
text. The order in the ring does not matter: keys were rotated to their positions before they were stored, and attention to a
set of keys is a sum. A chunk of new tokens attends to the old and the new before the old are overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from minillm.attention.sdpa import attend
from minillm.cache.admission import (
    require_layer,
    require_place,
    require_queries,
    require_room,
    require_sliding_layers,
    require_tokens,
    reserve,
    without_gradient,
)
from minillm.cache.contiguous import ContiguousCache
from minillm.cache.fit import ModelFacts, require_fit
from minillm.cache.ring_slots import RingPass, require_still_there, require_unharmed, ring_pass
from minillm.cache.rows import (
    attend_biased,
    common_length,
    no_lengths,
    require_common_length,
    require_row,
    shorter_lengths,
)
from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class RingCache:
    """The last R = `window` + `slack` tokens of each sliding layer, (N_sliding, B, R, G, D); other layers are kept whole.

    `sliding_layers` names the layers that slide, all by default; the others are a ContiguousCache of `max_length` tokens, as
    in Qwen2 below `max_window_layers`. `slack` is how many tokens `truncate` can take back once the ring has gone round, and
    so how much right padding a batch of prompts may have. Rows may have different lengths, as in ContiguousCache.

    Raises InvalidType or InvalidValue for sizes that are not whole numbers from 1 up (slack: from 0), for layers that are not
    the model's, and for new tokens of another batch, dtype or device; nothing already stored is lost. A loss that asks for
    gradients through it raises Unsupported. The rolling buffer is Mistral's (Jiang et al., "Mistral 7B", 2023).
    """

    is_packed = False  # token ids come as (B, L), one row a text

    def __init__(
        self,
        num_layers: int,
        batch: int,
        num_kv_heads: int,
        head_dim: int,
        *,
        window: int,
        sliding_layers: Sequence[int] | None = None,
        max_length: int | None = None,
        slack: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        require_whole(num_layers=num_layers, batch=batch, num_kv_heads=num_kv_heads, head_dim=head_dim)
        require_whole(window=window)
        require_whole(at_least=0, slack=slack)
        if max_length is not None:
            require_whole(max_length=max_length)
        require_place(dtype, device)
        slides = require_sliding_layers(num_layers, sliding_layers)
        self.window, self.windows = window, tuple(window if layer in slides else None for layer in range(num_layers))
        shape = (len(slides), batch, window + slack, num_kv_heads, head_dim)
        self.k, self.v = reserve(shape, dtype, device).zero_(), reserve(shape, dtype, device).zero_()
        self.lengths = no_lengths(batch)
        self._oldest = no_lengths(batch)  # the first position whose slot has not been taken by a later one
        self._index = {layer: i for i, layer in enumerate(sorted(slides))}  # layer -> place in the slab of its kind
        self.full: ContiguousCache | None = None
        self._pass: RingPass | None = None
        self._pass_key: tuple[int, ...] = ()
        if len(slides) < num_layers:
            self._keep_others_whole(num_layers - len(slides), max_length, dtype, device)

    def _keep_others_whole(
        self, count: int, max_length: int | None, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        if max_length is None:
            rule = "layers that see everything are kept whole, which takes a max_length"
            got = f"None, and {count} of {len(self.windows)} layers see everything"
            raise InvalidValue(rule_numbers_remedy(rule, got, "pass how many tokens a text may have"))
        _, B, _, G, D = self.k.shape
        self.full = ContiguousCache(count, B, max_length, G, D, dtype=dtype, device=device)
        self.full.lengths = self.lengths  # one count for both kinds of layer
        others = (layer for layer, window in enumerate(self.windows) if window is None)
        self._index |= {layer: i for i, layer in enumerate(others)}

    @property
    def length(self) -> int:
        """How many tokens every row has seen. Raises InvalidValue where rows differ: `lengths` then tells."""
        return require_common_length(self.lengths)

    @property
    def slack(self) -> int:
        """How many tokens can be taken back for certain."""
        return self.k.shape[2] - self.window

    @property
    def nbytes(self) -> int:
        """Bytes reserved, filled or not: the same after any number of tokens."""
        ring = 2 * self.k.numel() * self.k.element_size()
        return ring + (0 if self.full is None else self.full.nbytes)

    def check(self, model: ModelFacts, token_ids: Tensor) -> None:
        """Raise InvalidValue when the cache is another model's or for another batch, or whole layers lack room."""
        _, texts, _, groups, width = self.k.shape
        got = (len(self.windows), texts, groups, width, self.k.dtype, self.k.device)
        want = (
            model.num_layers, token_ids.shape[0], model.num_kv_heads, model.head_dim, model.dtype, model.device,
        )  # fmt: skip
        names, remedy = (
            "layers, batch, kv_heads, head_dim, dtype and device",
            "make one with model.new_ring_cache(batch)",
        )
        require_fit(names, got, want, remedy)
        require_fit("window in each layer", self.windows, model.windows, remedy)
        if self.full is not None:
            require_room(self.reach(token_ids), self.full.max_length)

    def positions(self, token_ids: Tensor) -> tuple[int, int] | Tensor:
        """token_ids (B, L) -> (start, stop) when all rows stand at one length, else the position of each, (B, L)."""
        require_unharmed(self.lengths, self._oldest, self.window)
        length, count = common_length(self.lengths), token_ids.shape[1]
        if length is not None:
            return length, length + count
        return (self.lengths[:, None] + torch.arange(count)).to(self.k.device)

    def reach(self, token_ids: Tensor) -> int:
        """How long the longest text is with token_ids (B, L)."""
        return max(self.lengths.tolist()) + token_ids.shape[1]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, *, window: int | None = None) -> Tensor:
        """Keep k, v (B, L, G, D) of the new tokens; q (B, L, H, D) -> (B, L, H, D), causal over all the layer may see.

        `window` must be the one that was kept for: None in a whole layer.
        """
        require_layer(layer, len(self.windows))
        if window != self.windows[layer]:
            rule = f"the cache keeps these windows, one a layer: {self.windows}"
            raise InvalidValue(rule_numbers_remedy(rule, f"window {window} in layer {layer}", "ask with the model's"))
        index = self._index[layer]
        if window is None:
            assert self.full is not None
            return self.full.attend(index, q, k, v)
        require_tokens(self.k, index, k, v)
        require_queries(q, k)
        read = self._attend_one if q.shape[1] == 1 else self._attend_chunk
        return without_gradient(read(index, q.detach(), k.detach(), v.detach()), q, k, v)

    def advance(self, count: int) -> None:
        """Count the tokens that every layer has just kept, the same number for each row."""
        require_whole(at_least=0, count=count)
        if self.full is not None:
            require_room(max(self.lengths.tolist()) + count, self.full.max_length)
        self.lengths += count

    def truncate(self, length: int | Sequence[int] | Tensor) -> None:
        """Forget everything from position `length` on: one length for all rows, or one each (B,).

        Raises InvalidValue, with nothing changed, where a token that the text would see again has lost its slot: `slack`
        tokens can be taken back for certain, and any number before the ring has gone round.
        """
        wanted = shorter_lengths(length, self.lengths)
        require_still_there(wanted, self.lengths, self._oldest, self.window)
        self._clear(wanted)
        self.lengths.copy_(wanted) if self.full is None else self.full.truncate(wanted)
        self._oldest[wanted == 0] = 0

    def reset(self) -> None:
        """Forget every text; what is reserved stays reserved."""
        self.truncate(0)

    def row(self, row: int) -> RingCache:
        """Text `row` alone, as a cache of one text in the same memory: what either keeps or forgets, both do."""
        require_row(row, self.k.shape[1])
        one = copy(self)
        one.k, one.v = self.k[:, row : row + 1], self.v[:, row : row + 1]
        one.lengths, one._oldest = self.lengths[row : row + 1], self._oldest[row : row + 1]
        one.full = None if self.full is None else self.full.row(row)
        one._pass = None
        return one

    def _clear(self, wanted: Tensor) -> None:
        """Zero the slots of what `truncate` forgets: a slot that is hidden must still hold a number."""
        for row, (start, stop) in enumerate(zip(wanted.tolist(), self.lengths.tolist(), strict=True)):
            R = self.k.shape[2]
            slots = torch.arange(max(start, stop - R), stop) % R if start else torch.arange(R)
            self.k[:, row, slots] = 0
            self.v[:, row, slots] = 0

    def _attend_one(self, index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One new token a row: it takes its slot, and the ring is read as it lies."""
        now = self._this_pass(1)
        self._keep(index, now, k, v)
        keys, values = self.k[index, :, : now.read], self.v[index, :, : now.read]
        return attend(q, keys, values) if now.bias is None else attend_biased(q, keys, values, now.bias)

    def _attend_chunk(self, index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Several: copy what is still seen in order, attend over old and new, then take the slots of the oldest."""
        now = self._this_pass(q.shape[1])
        keys = torch.cat((self.k[index][now.rows, now.before], k), dim=1)
        values = torch.cat((self.v[index][now.rows, now.before], v), dim=1)
        self._keep(index, now, k, v)
        if now.bias is None:
            return attend(q, keys, values, causal=True, window=self.window)
        return attend_biased(q, keys, values, now.bias)

    def _keep(self, index: int, now: RingPass, k: Tensor, v: Tensor) -> None:
        """Write the newest of k, v (B, L, G, D) to their slots: of a chunk longer than the ring only the end stays."""
        count = now.taken.shape[1]
        self.k[index][now.rows, now.taken] = k[:, -count:]
        self.v[index][now.rows, now.taken] = v[:, -count:]

    def _this_pass(self, count: int) -> RingPass:
        """Which slots `count` new tokens a row read and take, worked out by the first layer that asks."""
        if self._pass is None or self._pass_key != self._key(count):
            ring = self.k[0]
            self._oldest.copy_(torch.maximum(self._oldest, self.lengths + count - ring.shape[1]))
            self._pass = ring_pass(self.lengths, count, self.window, ring.shape[1], ring.dtype, ring.device)
            self._pass_key = self._key(count)
        return self._pass

    def _key(self, count: int) -> tuple[int, ...]:
        """What a pass depends on; another view of the same memory may have changed it."""
        return (*self.lengths.tolist(), *self._oldest.tolist(), count)

    def __repr__(self) -> str:
        _, B, R, G, D = self.k.shape
        low, high = min(self.lengths.tolist()), max(self.lengths.tolist())
        seen = str(high) if low == high else f"{low} to {high}"
        sliding = sum(window is not None for window in self.windows)
        return f"RingCache({seen} tokens seen, the last {R} kept in {sliding} of {len(self.windows)} layers, batch={B}, kv_heads={G}, head_dim={D}, {self.nbytes:,} bytes)"
