"""What attending to a cache costs for one new token a text: pencil arithmetic, exact to the byte, for three kernels.

Decoding reads every kept key and value and multiplies each with hardly anything, so bytes are what it costs. A kernel that
gives every query head a program of its own reads a shared KV head once for each; one that packs the group into a tile
reads it once. Cutting the keys into runs reads no key twice, and adds what the merge writes and reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minillm.errors import InvalidType, rule_numbers_remedy
from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive, require_whole
from minillm.measure.splits import decode_rows, split_range, tiles_seen
from minillm.measure.tiles import padded_width, tiled_attention_cost


@dataclass(frozen=True)
class DecodeCost:
    """What one launch moves and multiplies: bytes, FLOPs of the dots as issued, steps of the inner loop, programs."""

    bytes: Bytes
    flops: int
    tile_steps: int
    programs: int

    def __add__(self, other: DecodeCost) -> DecodeCost:
        """Two launches, one after the other."""
        moved = Bytes(self.bytes.loaded + other.bytes.loaded, self.bytes.stored + other.bytes.stored)
        steps = self.tile_steps + other.tile_steps
        return DecodeCost(moved, self.flops + other.flops, steps, self.programs + other.programs)


def flash_decode_cost(
    lengths: Sequence[int],
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_s: int,
    num_splits: int = 1,
    window: int | None = None,
    sinks: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> DecodeCost:
    """Kept keys of each text, H, G, D -> cost of `flash_decode`, its merge included; `state_bytes` is lse's element size.

    `lengths` is a list, one a text: `[8192] * 32` for a batch of 32. Raises InvalidType or InvalidValue.
    """
    attended = split_decode_cost(
        lengths, num_heads, num_kv_heads, head_dim, block_s=block_s, num_splits=num_splits, window=window, sinks=sinks,
        dtype_bytes=dtype_bytes, state_bytes=state_bytes,
    )  # fmt: skip
    if num_splits == 1:
        return attended
    return attended + merge_splits_cost(
        lengths, num_heads, head_dim, block_s=block_s, num_splits=num_splits, window=window, sinks=sinks,
        dtype_bytes=dtype_bytes, state_bytes=state_bytes,
    )  # fmt: skip


def split_decode_cost(
    lengths: Sequence[int],
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_s: int,
    num_splits: int = 1,
    window: int | None = None,
    sinks: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> DecodeCost:
    """Kept keys of each text, H, G, D -> cost of the first launch: attention of each group of heads to each run of keys.

    A program reads one length (4 bytes), its H / G queries, and the keys and values of its run, once: so keys cost
    2·G·D a position whatever H and `num_splits` are, unless a group is taller than a tile. It writes out and lse in the
    input's dtype, or as float32 partials if there are runs to merge. A window begins with a whole tile. Sinks are one
    number a head, read by the first run. FLOPs pad rows to 16 and D to a power of two.
    """
    _require(lengths, num_heads, num_kv_heads, head_dim, block_s, num_splits)
    require_positive(dtype_bytes=dtype_bytes, state_bytes=state_bytes)
    H, G, D, B = num_heads, num_kv_heads, head_dim, len(lengths)
    rows, row_tiles = decode_rows(H, G)
    walks = G * row_tiles
    steps, keys = _tiles_and_keys(lengths, block_s, window)
    programs = B * walks * num_splits
    loaded = (num_splits * B * H * D + 2 * walks * keys * D) * dtype_bytes + 4 * programs + sinks * B * H * state_bytes
    out_bytes = dtype_bytes if num_splits == 1 else state_bytes
    stored = num_splits * B * H * (D * out_bytes + state_bytes)
    flops = walks * steps * 4 * rows * block_s * padded_width(D)
    return DecodeCost(Bytes(loaded, stored), flops, walks * steps, programs)


def merge_splits_cost(
    lengths: Sequence[int],
    num_heads: int,
    head_dim: int,
    *,
    block_s: int,
    num_splits: int,
    window: int | None = None,
    sinks: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> DecodeCost:
    """Kept keys of each text, H, D -> cost of the second launch: each of B·H rows reads its runs' logs and outputs.

    The output of a run that saw nothing is not read; the first run has always seen a sink, if there are some.
    """
    _require(lengths, num_heads, 1, head_dim, block_s, num_splits)
    require_positive(dtype_bytes=dtype_bytes, state_bytes=state_bytes)
    H, D, rows = num_heads, head_dim, len(lengths) * num_heads
    seeing = sum(max(sinks, runs_that_see(length, num_splits, block_s, window=window)) for length in lengths)
    loaded = (rows * num_splits + seeing * H * D) * state_bytes
    return DecodeCost(Bytes(loaded, rows * (D * dtype_bytes + state_bytes)), 0, rows, rows)


def per_head_decode_cost(
    lengths: Sequence[int],
    num_heads: int,
    head_dim: int,
    *,
    block_l: int,
    block_s: int,
    window: int | None = None,
    sinks: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> DecodeCost:
    """Kept keys of each text, H, D -> cost of one query row by `flash_attention`, a call with L = 1 for each text.

    B·H programs, each of which reads all keys and values its head attends to: sharing KV heads spares it no byte.
    """
    require_whole(num_heads=num_heads, head_dim=head_dim, block_l=block_l, block_s=block_s)
    require_whole(window=1 if window is None else window)
    require_positive(dtype_bytes=dtype_bytes, state_bytes=state_bytes)
    _require_lengths(lengths)
    total = DecodeCost(Bytes(0, 0), 0, 0, 0)
    for length in lengths:
        if not length:
            stored = num_heads * (head_dim * dtype_bytes + state_bytes)
            loaded = num_heads * (head_dim * dtype_bytes + sinks * state_bytes)
            total += DecodeCost(Bytes(loaded, stored), 0, 0, num_heads)
            continue
        text = tiled_attention_cost(
            1, 1, length, num_heads, head_dim, block_l=block_l, block_s=block_s, window=window, sinks=sinks,
            dtype_bytes=dtype_bytes, state_bytes=state_bytes,
        )  # fmt: skip
        total += DecodeCost(text.bytes, text.flops, text.tile_steps, num_heads)
    return total


def runs_that_see(length: int, num_splits: int, block_s: int, *, window: int | None = None) -> int:
    """How many of a text's runs have a key at all."""
    ranges = [split_range(length, split, num_splits, block_s, window=window) for split in range(num_splits)]
    return sum(visited.start < visited.end for visited in ranges)


def _tiles_and_keys(lengths: Sequence[int], block_s: int, window: int | None) -> tuple[int, int]:
    """Tiles that a walk over each text visits, and keys that it reads, summed over the texts."""
    tiles = [tiles_seen(length, block_s, window=window) for length in lengths]
    unread = [-(-length // block_s) - seen for length, seen in zip(lengths, tiles, strict=True)]
    return sum(tiles), sum(lengths) - sum(unread) * block_s


def _require(
    lengths: Sequence[int], num_heads: int, num_kv_heads: int, head_dim: int, block_s: int, num_splits: int
) -> None:
    _require_lengths(lengths)
    require_whole(num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    require_whole(block_s=block_s, num_splits=num_splits)


def _require_lengths(lengths: Sequence[int]) -> None:
    if not isinstance(lengths, Sequence):
        rule = "lengths must be a list, one a text"
        raise InvalidType(rule_numbers_remedy(rule, type(lengths).__name__, "write [8192] * 32 for a batch of 32"))
    for length in lengths:
        require_whole(at_least=0, length=length)
