"""What attention costs on paper: FLOPs of its two dots, the bytes no form can avoid, and the caches it keeps.

Every formula takes plain numbers in the workbook's alphabet, so a pencil is enough to check it.
"""

from __future__ import annotations

from dataclasses import dataclass

from minillm.measure.numbers import require_positive


@dataclass(frozen=True)
class AttentionFlops:
    """FLOPs of attention's two dots: `issued` for every (query, key) pair, `useful` for the pairs that may look."""

    issued: int
    useful: int


@dataclass(frozen=True)
class Bytes:
    """Bytes `loaded` from memory and `stored` to it."""

    loaded: int
    stored: int

    @property
    def moved(self) -> int:
        return self.loaded + self.stored


def visible_pairs(query_length: int, key_length: int, *, causal: bool = False, window: int | None = None) -> int:
    """L, S -> the (query, key) pairs that may look, with causal and window aligned at the bottom right.

    Query i sees key j iff j <= i + S - L (causal) and j > i + S - L - w (window). With T(n) = n(n+1)/2 for n > 0, else 0:
    causal leaves T(S) - T(S - L) pairs of the L·S, and a window hides T(S - w) - T(S - w - L) of what is left.
    """
    require_positive(query_length=query_length, key_length=key_length)
    if window is not None:
        require_positive(window=window)
    L, S = query_length, key_length
    pairs = _triangle(S) - _triangle(S - L) if causal else L * S
    if window is None:
        return pairs
    return pairs - (_triangle(S - window) - _triangle(S - window - L))


def attention_flops(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    head_dim: int,
    *,
    causal: bool = False,
    window: int | None = None,
) -> AttentionFlops:
    """B, L, S, H, D -> FLOPs: 4·D for each pair of a query and a key in each head (2·D for q·k, 2·D for p·v).

    `issued` multiplies all B·H·L·S pairs, as a form that masks after multiplying does; `useful` only `visible_pairs`.
    Key/value heads do not appear: sharing them saves bytes, never FLOPs. Source: 2mnk per matrix product.
    """
    require_positive(batch=batch, num_heads=num_heads, head_dim=head_dim)
    useful = visible_pairs(query_length, key_length, causal=causal, window=window)
    per_pair = 4 * batch * num_heads * head_dim
    return AttentionFlops(per_pair * query_length * key_length, per_pair * useful)


def ideal_attention_bytes(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    dtype_bytes: int = 2,
) -> Bytes:
    """B, L, S, H, G, D -> bytes no attention can go below: q, k and v read once, the output written once.

    (B·L·H·D + 2·B·S·G·D) · dtype_bytes loaded, B·L·H·D · dtype_bytes stored. What flash attention approaches when the
    keys of a head fit on chip (Dao et al., "FlashAttention", 2022).
    """
    require_positive(batch=batch, query_length=query_length, key_length=key_length, num_heads=num_heads)
    require_positive(num_kv_heads=num_kv_heads, head_dim=head_dim, dtype_bytes=dtype_bytes)
    queries = batch * query_length * num_heads * head_dim
    keys = batch * key_length * num_kv_heads * head_dim
    return Bytes((queries + 2 * keys) * dtype_bytes, queries * dtype_bytes)


def score_bytes(batch: int, num_heads: int, query_length: int, key_length: int, *, dtype_bytes: int = 2) -> int:
    """B, H, L, S -> bytes of one table of scores: B·H·L·S · dtype_bytes. The quadratic term of attention's memory."""
    require_positive(batch=batch, num_heads=num_heads, query_length=query_length, key_length=key_length)
    require_positive(dtype_bytes=dtype_bytes)
    return batch * num_heads * query_length * key_length * dtype_bytes


def kv_cache_bytes(
    batch: int, length: int, num_layers: int, num_kv_heads: int, head_dim: int, *, dtype_bytes: int = 2
) -> int:
    """B, S, N, G, D -> bytes of keys and values kept for B sequences of S tokens: 2·B·S·N·G·D · dtype_bytes."""
    require_positive(batch=batch, length=length, num_layers=num_layers)
    require_positive(num_kv_heads=num_kv_heads, head_dim=head_dim, dtype_bytes=dtype_bytes)
    return 2 * batch * length * num_layers * num_kv_heads * head_dim * dtype_bytes


def _triangle(n: int) -> int:
    return n * (n + 1) // 2 if n > 0 else 0
