"""Which tiles of the score matrix attention has to visit, and what visiting them costs: pencil arithmetic on plain integers.

A tiled attention walks over blocks of keys for every block of queries. Causality and windows make most blocks either
wholly visible (no mask needed), partly visible (mask needed) or wholly hidden (never loaded). The tiled form, the kernels,
the cost formulas and the tile explorer all use the ranges below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive


@dataclass(frozen=True)
class KeyRange:
    """The keys one block of queries visits, cut at tiles: masked from `start`, whole from `full_start`, masked from `full_end`.

    `start <= full_start <= full_end`, all three multiples of the tile; nothing at or after `end` is visible to any row.
    """

    start: int
    full_start: int
    full_end: int
    end: int

    def tiles(self, block_s: int) -> list[tuple[int, bool]]:
        """(first key, masked?) of each tile in the order of the loop."""
        masked = [(s, True) for s in range(self.start, self.full_start, block_s)]
        whole = [(s, False) for s in range(self.full_start, self.full_end, block_s)]
        return masked + whole + [(s, True) for s in range(self.full_end, self.end, block_s)]


def steps_and_rows(ranges: Iterable[KeyRange], block: int, length: int) -> tuple[int, int]:
    """What walking over all these ranges takes: tiles of `block` rows, and the rows read, of which there are `length`."""
    starts = [start for visited in ranges for start, _ in visited.tiles(block)]
    return len(starts), sum(min(block, length - start) for start in starts)


def key_range(
    q_tile: int, L: int, S: int, block_l: int, block_s: int, *, causal: bool = False, window: int | None = None
) -> KeyRange:
    """The keys that query rows q_tile * block_l … visit, of S, in tiles of `block_s`; causal and window at the bottom right.

    A tile is whole when every row sees every key of it: up to the first row's own position if causal, from the last row's
    window on if there is one, and never past the end of the keys.
    """
    first = q_tile * block_l + S - L  # positions of the block's first and last row among the keys
    last = min((q_tile + 1) * block_l, L) - 1 + S - L
    end = min(max(last + 1, 0), S) if causal else S
    full_end = (min(max(first + 1, 0), S) if causal else S) // block_s * block_s
    start = full_start = 0
    if window is not None:
        start = max(first - window + 1, 0) // block_s * block_s
        full_start = (max(last - window + 1, 0) + block_s - 1) // block_s * block_s
    full_end = max(full_end, start)
    return KeyRange(start, min(full_start, full_end), full_end, end)


@dataclass(frozen=True)
class QueryRange(KeyRange):
    """The queries that may see one block of keys, cut at tiles in the same way; `tiles(block_l)` walks over them."""


def query_range(
    s_tile: int, L: int, S: int, block_l: int, block_s: int, *, causal: bool = False, window: int | None = None
) -> QueryRange:
    """The query rows, of L, that may see keys s_tile * block_s …, in tiles of `block_l`: `key_range` asked the other way.

    A tile is whole when every row of it sees every key: from the last key's own row on if causal, up to the row whose
    window ends at the first key if there is one. The last tile of keys is never whole if the keys' end cuts it short.
    """
    first = s_tile * block_s - (S - L)  # rows that stand at the block's first and last key
    last = min((s_tile + 1) * block_s, S) - 1 - (S - L)
    start = max(first, 0) // block_l * block_l if causal else 0
    full_start = (max(last, 0) + block_l - 1) // block_l * block_l if causal else 0
    end = L if window is None else min(max(last + window, 0), L)
    full_end = (L if window is None else min(max(first + window, 0), L)) // block_l * block_l
    if (s_tile + 1) * block_s > S:
        full_end = start
    full_end = max(full_end, start)
    return QueryRange(start, min(full_start, full_end), full_end, end)


@dataclass(frozen=True)
class TiledCost:
    """What a tiled attention moves and multiplies: bytes, FLOPs of the dots as issued, and steps of the inner loop."""

    bytes: Bytes
    flops: int
    tile_steps: int


def tiled_attention_cost(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    head_dim: int,
    *,
    block_l: int,
    block_s: int,
    causal: bool = False,
    window: int | None = None,
    sinks: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> TiledCost:
    """B, L, S, H, D and the tile sizes -> cost of flash attention, exact to the byte; `state_bytes` is lse's element size.

    Each of B·H programs a query block reads its queries once, and the keys and values it visits once a block, so halving
    `block_l` doubles what is read of them. Masks end at the last key, not at the diagonal. It writes out and lse, once.
    A sink is one more number a program. FLOPs pad every tile to its full size and D to a power of two.
    """
    require_positive(batch=batch, query_length=query_length, key_length=key_length, num_heads=num_heads)
    require_positive(head_dim=head_dim, block_l=block_l, block_s=block_s, dtype_bytes=dtype_bytes)
    L, S, D = query_length, key_length, head_dim
    q_tiles = -(-L // block_l)
    ranges = (key_range(q_tile, L, S, block_l, block_s, causal=causal, window=window) for q_tile in range(q_tiles))
    steps, keys = steps_and_rows(ranges, block_s, S)
    programs = batch * num_heads
    loaded = programs * (L * D + 2 * keys * D) * dtype_bytes + programs * q_tiles * state_bytes * sinks
    stored = programs * L * (D * dtype_bytes + state_bytes)
    flops = programs * steps * 4 * block_l * block_s * padded_width(D)
    return TiledCost(Bytes(loaded, stored), flops, programs * steps)


def padded_width(head_dim: int) -> int:
    """D -> the power of two its tiles are padded to, at least 16: the narrowest a tensor core multiplies."""
    return max(16, 1 << (head_dim - 1).bit_length())
