"""What the backward of tiled attention moves and multiplies: pencil arithmetic, kernel by kernel.

The forward has two dots a tile; the gradients need five, and because the sums over queries (dK, dV) and over keys (dQ)
are made in two kernels that share nothing, two of the five are computed twice: seven dots a tile in all.
"""

from __future__ import annotations

from dataclasses import dataclass

from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive, require_whole
from minillm.measure.tiles import TiledCost, key_range, padded_width, query_range, steps_and_rows


@dataclass(frozen=True)
class BackwardCost:
    """The three kernels of a backward, each with its bytes, its FLOPs as issued and its loop steps; and their sums."""

    delta: TiledCost
    dkdv: TiledCost
    dq: TiledCost

    @property
    def bytes(self) -> Bytes:
        parts = [part.bytes for part in (self.delta, self.dkdv, self.dq)]
        return Bytes(sum(part.loaded for part in parts), sum(part.stored for part in parts))

    @property
    def flops(self) -> int:
        return self.delta.flops + self.dkdv.flops + self.dq.flops

    @property
    def tile_steps(self) -> int:
        return self.delta.tile_steps + self.dkdv.tile_steps + self.dq.tile_steps


def backward_cost(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_l: int,
    block_s: int,
    causal: bool = False,
    window: int | None = None,
    dlse: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> BackwardCost:
    """B, L, S, H, G, D and the tile sizes -> cost of dq, dk and dv, exact to the byte; `state_bytes` is lse's element size.

    `dlse` says whether lse has a gradient of its own, which delta then reads. The sinks' gradient is a sum over (B, H, L)
    in ordinary torch and is not included. Kernels with tiles of their own: ask `dkdv_cost` and `dq_cost` apart.
    """
    shape = (batch, query_length, key_length, num_heads, num_kv_heads, head_dim)
    sizes = {"dtype_bytes": dtype_bytes, "state_bytes": state_bytes}
    return BackwardCost(
        delta_cost(batch, query_length, num_heads, head_dim, block_l=block_l, dlse=dlse, **sizes),
        dkdv_cost(*shape, block_l=block_l, block_s=block_s, causal=causal, window=window, **sizes),
        dq_cost(*shape, block_l=block_l, block_s=block_s, causal=causal, window=window, **sizes),
    )


def delta_cost(
    batch: int,
    query_length: int,
    num_heads: int,
    head_dim: int,
    *,
    block_l: int,
    dlse: bool = False,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> TiledCost:
    """B, L, H, D -> cost of delta: out and dout read once, one number a row written. No dots; a step is a block of rows."""
    require_positive(batch=batch, query_length=query_length, num_heads=num_heads, head_dim=head_dim)
    require_whole(block_l=block_l)
    rows = batch * num_heads * query_length
    loaded = rows * (2 * head_dim * dtype_bytes + state_bytes * dlse)
    return TiledCost(Bytes(loaded, rows * state_bytes), 0, batch * num_heads * -(-query_length // block_l))


def dkdv_cost(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_l: int,
    block_s: int,
    causal: bool = False,
    window: int | None = None,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> TiledCost:
    """B, L, S, H, G, D -> cost of dk and dv: a key tile is read and written once, and the queries it visits once a tile.

    A visit reads the rows' q, dout, lse and delta, in each of the H / G heads that share the keys, and makes four dots.
    """
    _require(batch, query_length, key_length, num_heads, num_kv_heads, head_dim, block_l, block_s)
    L, S, D = query_length, key_length, head_dim
    tiles = range(-(-S // block_s))
    ranges = (query_range(s_tile, L, S, block_l, block_s, causal=causal, window=window) for s_tile in tiles)
    steps, rows = steps_and_rows(ranges, block_l, L)
    heads, keys = batch * num_heads, 2 * batch * num_kv_heads * S * D * dtype_bytes
    loaded = keys + heads * rows * 2 * (D * dtype_bytes + state_bytes)
    return TiledCost(Bytes(loaded, keys), heads * steps * 8 * block_l * block_s * padded_width(D), heads * steps)


def dq_cost(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_l: int,
    block_s: int,
    causal: bool = False,
    window: int | None = None,
    dtype_bytes: int = 2,
    state_bytes: int = 4,
) -> TiledCost:
    """B, L, S, H, G, D -> cost of dq: each block's rows read once, its keys and values as in the forward, three dots a tile."""
    _require(batch, query_length, key_length, num_heads, num_kv_heads, head_dim, block_l, block_s)
    L, S, D = query_length, key_length, head_dim
    tiles = range(-(-L // block_l))
    ranges = (key_range(q_tile, L, S, block_l, block_s, causal=causal, window=window) for q_tile in tiles)
    steps, keys = steps_and_rows(ranges, block_s, S)
    heads = batch * num_heads
    loaded = heads * 2 * (L * (D * dtype_bytes + state_bytes) + keys * D * dtype_bytes)
    stored = heads * L * D * dtype_bytes
    return TiledCost(Bytes(loaded, stored), heads * steps * 6 * block_l * block_s * padded_width(D), heads * steps)


def _require(*numbers: int) -> None:
    names = ("batch", "query_length", "key_length", "num_heads", "num_kv_heads", "head_dim", "block_l", "block_s")
    require_whole(**dict(zip(names, numbers, strict=True)))
