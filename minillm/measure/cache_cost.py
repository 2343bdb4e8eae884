"""What filling a cache costs: the bytes of writing keys and values to their slots, and of turning queries and keys first.

Nothing is multiplied to speak of, so bytes are all there is: every element is read once and written once, and a token's
cosines and sines once for all its heads.
"""

from __future__ import annotations

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive, require_whole


def kv_write_bytes(
    tokens: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    skipped: int = 0,
    dtype_bytes: int = 2,
    cache_bytes: int | None = None,
) -> Bytes:
    """T, G, D -> bytes of `kv_write`, of whose tokens `skipped` have the slot -1; `cache_bytes` 1 is a cache in 8 bits.

    Each row (t, g) looks its 8-byte slot up; kept rows of k and v are read once and written once, in 8 bits with 4 bytes
    of scale each.
    """
    _require_skipped(tokens, skipped)
    require_whole(num_kv_heads=num_kv_heads, head_dim=head_dim)
    require_positive(dtype_bytes=dtype_bytes)
    if cache_bytes not in (None, 1, dtype_bytes):
        rule = f"cache_bytes must be 1 or the {dtype_bytes} of dtype_bytes"
        raise InvalidValue(
            rule_numbers_remedy(rule, repr(cache_bytes), "leave it out for a cache of the tokens' dtype")
        )
    rows = 2 * (tokens - skipped) * num_kv_heads
    loaded = rows * head_dim * dtype_bytes + tokens * num_kv_heads * 8
    if cache_bytes is None or cache_bytes == dtype_bytes:
        return Bytes(loaded, rows * head_dim * dtype_bytes)
    return Bytes(loaded, rows * (head_dim * cache_bytes + 4))


def rotary_bytes(
    tokens: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    dtype_bytes: int = 2,
    table_bytes: int = 4,
    position_bytes: int = 8,
) -> Bytes:
    """T, H, G, D -> bytes of `rotary`: q and k read and written once, a row of cosines and one of sines once a token."""
    require_whole(at_least=0, tokens=tokens)
    require_whole(num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    require_positive(dtype_bytes=dtype_bytes, table_bytes=table_bytes, position_bytes=position_bytes)
    turned = tokens * (num_heads + num_kv_heads) * head_dim * dtype_bytes
    return Bytes(turned + tokens * (2 * head_dim * table_bytes + position_bytes), turned)


def rotary_write_bytes(
    tokens: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    skipped: int = 0,
    dtype_bytes: int = 2,
    table_bytes: int = 4,
    position_bytes: int = 8,
) -> Bytes:
    """T, H, G, D -> bytes of `rotary_write`: those of `rotary`, and v read and written, with one slot of 8 bytes a token.

    `skipped` tokens have the slot -1: their keys are read and turned, and neither k nor v is written.
    """
    _require_skipped(tokens, skipped)
    sizes = {"dtype_bytes": dtype_bytes, "table_bytes": table_bytes, "position_bytes": position_bytes}
    turned = rotary_bytes(tokens, num_heads, num_kv_heads, head_dim, **sizes)
    row = num_kv_heads * head_dim * dtype_bytes
    values = (tokens - skipped) * row
    return Bytes(turned.loaded + values + 8 * tokens, turned.stored + values - skipped * row)


def _require_skipped(tokens: int, skipped: int) -> None:
    require_whole(at_least=0, tokens=tokens, skipped=skipped)
    if skipped > tokens:
        rule = f"skipped must be at most tokens, {tokens}"
        raise InvalidValue(rule_numbers_remedy(rule, str(skipped), "count the tokens whose slot is -1"))
