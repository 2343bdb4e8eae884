"""A paged KV cache: one pool of equal blocks for every text, so nothing is reserved that is not used.

Each text has a block table that says which blocks hold its tokens, in order. Before a pass `extend` makes room for every
text's new tokens, all or none, and writes down where each token goes; the layers then keep their keys and values there
and attend. Two texts may share blocks, and the one that goes on writing into a shared block gets a copy of it first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.attention.pages import Pages, Scratch
from minillm.cache.admission import require_layer, require_place, require_tensors, reserve
from minillm.cache.block_pool import BlockPool, OutOfBlocks
from minillm.cache.block_table import BlockTable
from minillm.cache.contiguous import ContiguousCache
from minillm.cache.paged_batch import PagedBatch, make_batch
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class PagedCache:
    """k and v (N, num_blocks, P, G, D), lent out by `pool`: a BlockPool of `num_blocks` blocks of P tokens.

    With `check`, blocks that are given back are filled with NaN, so whoever reads one shows it, and a pass may only write
    to blocks with one reference. Raises InvalidType or InvalidValue for sizes that are not whole numbers from 1 up, and
    for tables of another pool; the cache is then as it was. Source: Kwon et al., "PagedAttention" (2023).
    """

    def __init__(
        self,
        num_layers: int,
        num_blocks: int,
        block_size: int,
        num_kv_heads: int,
        head_dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        check: bool = False,
    ):
        require_whole(num_layers=num_layers, num_kv_heads=num_kv_heads, head_dim=head_dim)
        require_whole(num_blocks=num_blocks, block_size=block_size)
        require_place(dtype, device)
        self.shape = (num_layers, num_blocks, block_size, num_kv_heads, head_dim)
        self.dtype, self.checks, self.scratch = dtype, check, Scratch()
        # Before the pool: a memory that cannot be had is refused, where a list of so many blocks would exhaust the machine.
        self._reserve(dtype, device)
        self.pool = BlockPool(num_blocks, block_size)
        self.device, self.on_gpu = self.k.device, self.k.is_cuda
        if check:
            self._poison(list(range(num_blocks)))
            self.pool.on_free.append(self._poison)
            self.pool.on_reuse.append(lambda block: self._poison([block]))

    def _reserve(self, dtype: torch.dtype, device: torch.device | str) -> None:
        # A layer's keys lie before its values, in one tensor, so that a block's can be fetched in one operation.
        layers = reserve((self.shape[0], 2, *self.shape[1:]), dtype, device)
        self.k, self.v = layers.unbind(1)
        self._tensors: tuple[Tensor, ...] = (self.k, self.v)
        self._slots = [layer.unbind() for layer in layers.flatten(2, 3)]
        self.pages = [Pages(*layer.unbind(), both=layer) for layer in layers]

    @property
    def nbytes(self) -> int:
        """Bytes reserved, scales included, in use or not."""
        return sum(x.numel() * x.element_size() for x in self._tensors)

    def table(self) -> BlockTable:
        """A new text without tokens."""
        return BlockTable(self.pool)

    def extend(self, tables: Sequence[BlockTable], counts: Sequence[int]) -> PagedBatch:
        """Make room for `counts[i]` more tokens of text `tables[i]` -> the batch that one forward pass takes.

        All texts or none: raises OutOfBlocks when the pool has too few blocks for them together, and InvalidType or
        InvalidValue for tables that are free, twice there or another pool's, and counts below 1; nothing has then changed.
        """
        self._require_tables(tables)
        if not isinstance(counts, Sequence):
            raise InvalidType(rule_numbers_remedy("counts must be a list", repr(counts), "pass one count a text"))
        for count in counts:
            if type(count) is not int or count < 1:
                require_whole(count=count)
        if not tables or len(counts) != len(tables):
            rule = "extend takes at least one text, and one count for each"
            raise InvalidValue(rule_numbers_remedy(rule, f"{len(counts)} for {len(tables)}", "pass as many counts"))
        # No text needs more than its tokens fill, one begun and one copied: the exact count is for when it matters.
        if sum(counts) // self.pool.block_size + 2 * len(counts) > self.pool.num_free:
            self._require_room(blocks_needed(tables, counts))
        copies = [copy for t, n in zip(tables, counts, strict=True) for copy in t.append(n)]
        if copies:
            self.copy_blocks(copies)
        if self.checks:
            self._require_own_tails(tables, counts)
        return make_batch(self, tables, counts)

    def write(self, layer: int, k: Tensor, v: Tensor, slot_mapping: Tensor) -> None:
        """Keep k and v (T, G, D) in slots (T,) int64 of one layer; slot b · P + i is token i of block b, and −1 is nowhere.

        Two tokens for one slot leave either.
        """
        N, num_blocks, P, G, D = self.shape
        require_layer(layer, N)
        require_tensors(k=k, v=v, slot_mapping=slot_mapping)
        if slot_mapping.dim() != 1 or not k.device == v.device == slot_mapping.device == self.device:
            rule = f"slots must be (T,), and with k and v on {self.device}"
            found = f"{tuple(slot_mapping.shape)} on {slot_mapping.device}, {k.device} and {v.device}"
            raise InvalidValue(rule_numbers_remedy(rule, found, "move them there"))
        T = len(slot_mapping)
        if slot_mapping.dtype != torch.int64 or k.dtype != self.dtype or v.dtype != self.dtype:
            rule, found = f"k and v must be {self.dtype} and slots int64", f"{k.dtype}, {v.dtype}, {slot_mapping.dtype}"
            raise InvalidType(rule_numbers_remedy(rule, found, "convert them first"))
        if not k.shape == v.shape == (T, G, D):
            rule, found = f"k and v must both be ({T}, {G}, {D})", f"{tuple(k.shape)} and {tuple(v.shape)}"
            raise InvalidValue(rule_numbers_remedy(rule, found, "pass one row a slot"))
        if T and not (int(slot_mapping.min()) >= -1 and int(slot_mapping.max()) < num_blocks * P):
            rule, found = f"slots lie in 0 … {num_blocks * P - 1}, or are -1", str(slot_mapping.tolist())
            raise InvalidValue(rule_numbers_remedy(rule, found[:60], "use a table's slots"))
        kept = slot_mapping >= 0
        self.keep(layer, k[kept], v[kept], slot_mapping[kept])

    def keep(self, layer: int, k: Tensor, v: Tensor, slots: Tensor) -> None:
        """`write` with its arguments trusted: called once a layer a pass. A cache carries no gradients."""
        k_slots, v_slots = self._slots[layer]
        k_slots.index_copy_(0, slots, k.detach() if k.requires_grad else k)
        v_slots.index_copy_(0, slots, v.detach() if v.requires_grad else v)

    def read(self, layer: int, table: BlockTable) -> tuple[Tensor, Tensor]:
        """-> k, v (S, G, D) of one text, copied into one piece."""
        require_layer(layer, self.shape[0])
        self._require_tables([table])
        slots = torch.tensor(table.slots(0, table.length), dtype=torch.int64, device=self.device)
        return self.k[layer].flatten(0, 1)[slots], self.v[layer].flatten(0, 1)[slots]

    def copy_blocks(self, copies: Sequence[tuple[int, int]]) -> None:
        """Copy blocks, each (source, destination), in every layer: what copy-on-write asks for. Destinations all differ."""
        if not isinstance(copies, Sequence) or not all(isinstance(c, Sequence) and len(c) == 2 for c in copies):
            rule = "copies must be a list of (source, destination)"
            raise InvalidType(rule_numbers_remedy(rule, f"{copies!r:.60}", "pass what append gave"))
        for block in (b for copy in copies for b in copy):
            self.pool.ref_count(block)  # raises for what is no block of the pool
        if len({target for _, target in copies}) < len(copies):
            rule = "a block can be the copy of one other"
            raise InvalidValue(rule_numbers_remedy(rule, f"{copies!r:.60}", "copy each to a block of its own"))
        if not copies:
            return
        sources, targets = torch.tensor(copies, dtype=torch.int64, device=self.device).unbind(1)
        for x in self._tensors:
            x[:, targets] = x[:, sources]

    def from_contiguous(self, dense: ContiguousCache) -> list[BlockTable]:
        """Copy every text of a contiguous cache in -> one table a text. Raises OutOfBlocks, or InvalidValue for other sizes."""
        self._require_same_sizes(dense)
        lengths = dense.lengths.tolist()
        tables = [self.table() for _ in lengths]
        filled = [(b, n) for b, n in enumerate(lengths) if n]
        if filled:
            self.extend([tables[b] for b, _ in filled], [n for _, n in filled])
        for b, n in filled:
            slots = torch.tensor(tables[b].slots(0, n), dtype=torch.int64, device=self.device)
            for layer in range(self.shape[0]):
                self.keep(layer, dense.k[layer, b, :n], dense.v[layer, b, :n], slots)
        return tables

    def to_contiguous(self, tables: Sequence[BlockTable], max_length: int | None = None) -> ContiguousCache:
        """Copy texts out into a contiguous cache of `max_length` tokens each, by default as many as the longest has."""
        self._require_tables(tables)
        if not tables:
            raise InvalidValue("a contiguous cache holds at least one text; got none; pass a table.")
        lengths = [table.length for table in tables]
        N, _, _, G, D = self.shape
        size = max(1, *lengths) if max_length is None else max_length
        dense = ContiguousCache(N, len(tables), size, G, D, dtype=self.dtype, device=self.device)
        if max(lengths) > dense.max_length:
            rule = f"max_length must hold the longest text, of {max(lengths)} tokens"
            raise InvalidValue(rule_numbers_remedy(rule, str(max_length), "leave it out"))
        for b, table in enumerate(tables):
            for layer in range(N):
                dense.k[layer, b, : table.length], dense.v[layer, b, : table.length] = self.read(layer, table)
        dense.lengths.copy_(torch.tensor(lengths))
        return dense

    def __repr__(self) -> str:
        N, _, _, G, D = self.shape
        kind = str(self._tensors[0].dtype).removeprefix("torch.")
        return f"{type(self).__name__}({self.pool!r}, layers={N}, kv_heads={G}, head_dim={D}, {kind}, {self.nbytes:,} bytes)"

    def _poison(self, blocks: list[int]) -> None:
        """Fill blocks that nobody refers to with NaN, except those that can still be found by a key."""
        lost = [b for b in blocks if not self.pool.ref_count(b) and self.pool.key_of(b) is None]
        for x in self._tensors:
            if x.is_floating_point() and x.dtype.itemsize > 1:
                x[:, lost] = float("nan")

    def _require_room(self, needed: int) -> None:
        if needed > self.pool.num_free:
            rule = f"{self.pool.num_free} of {self.pool.num_blocks} blocks are free"
            raise OutOfBlocks(rule_numbers_remedy(rule, str(needed), "free a text first, or extend fewer"))

    def _require_tables(self, tables: Sequence[BlockTable]) -> None:
        if not isinstance(tables, Sequence):
            raise InvalidType(rule_numbers_remedy("tables must be a list", f"{tables!r:.60}", "put it into a list"))
        for table in tables:
            if not isinstance(table, BlockTable) or table.pool is not self.pool:
                rule = "tables must be this cache's"
                raise InvalidType(rule_numbers_remedy(rule, f"{table!r:.60}", "make one with cache.table()"))
            if table.is_free:
                raise InvalidValue("a text that was freed has no blocks; got one; make a new table.")
        if len(tables) > 1 and len(set(map(id, tables))) < len(tables):
            raise InvalidValue("a text may be there once a call; got one twice; fork it for a second text.")

    def _require_same_sizes(self, dense: ContiguousCache) -> None:
        if not isinstance(dense, ContiguousCache):
            rule = "only a ContiguousCache can be copied in"
            raise InvalidType(rule_numbers_remedy(rule, type(dense).__name__, "read its texts into one first"))
        (N, _, _, G, D), (layers, _, _, groups, width) = self.shape, dense.k.shape
        got, want = (layers, groups, width, dense.k.dtype, dense.k.device), (N, G, D, self.dtype, self.device)
        if got != want:
            rule = f"both caches must have the same layers, kv_heads, head_dim, dtype and device, {want}"
            raise InvalidValue(rule_numbers_remedy(rule, str(got), "make both with the same model's sizes"))

    def _require_own_tails(self, tables: Sequence[BlockTable], counts: Sequence[int]) -> None:
        """Under `check`: the blocks about to be written have one reference each, and no two tokens share a slot."""
        P = self.pool.block_size
        written = [b for t, n in zip(tables, counts, strict=True) for b in t.block_ids[(t.length - n) // P :]]
        assert len(set(written)) == len(written), "two texts are about to write to one block"
        assert all(self.pool.ref_count(b) == 1 for b in written), "a shared block is about to be written to"


def blocks_needed(tables: Sequence[BlockTable], counts: Sequence[int]) -> int:
    """How many blocks the pool must give for all texts together.

    Texts that share a half-full block and all go on writing each count a copy of it, but when nobody else holds it the
    last one keeps the original.
    """
    total = sum(t.blocks_needed(n) for t, n in zip(tables, counts, strict=True))
    if len(tables) == 1:
        return total
    tails = Counter(t.block_ids[-1] for t in tables if t.length % t.pool.block_size)
    return total - sum(1 < n == tables[0].pool.ref_count(block) for block, n in tails.items())
