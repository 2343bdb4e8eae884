"""What paged attention accepts, said once: packed queries, a pool of blocks, and the three index tensors that tie them together.

A wrong number in a block table makes a kernel read somebody else's text, or memory that is nobody's, without a word. So
the shapes are checked at every call, and the numbers in the tables whenever they may have changed: always on the CPU,
and on a GPU, where reading them means waiting, once for each version of them that torch knows of.
"""

from __future__ import annotations

import numbers
import weakref
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from minillm.attention.validate import (
    FLOATS,
    check_indices,
    check_scale,
    check_shapes,
    check_sinks,
    check_softcap,
    check_window,
)
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.chip import on_chip

QUANTIZED = (torch.int8, torch.float8_e4m3fn)
Texts = list[tuple[int, int]]


def validate_paged(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    query_start_loc: Tensor,
    max_query_len: int,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    scale: float | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    return_lse: bool = False,
) -> Texts:
    """Check one call; returns (query length, sequence length) of each text, or nothing for tensors on "meta".

    q (T, H, D), k_cache and v_cache (num_blocks, P, G, D), block_table (B, max_blocks), seq_lens (B,) and query_start_loc
    (B + 1,) int32, sinks (H,), k_scale and v_scale (num_blocks, P, G) float32 with an int8 or float8_e4m3fn cache. Text b
    owns the query rows query_start_loc[b] … query_start_loc[b + 1] and the first ceil(seq_lens[b] / P) entries of its
    row of the table; entries after those are not looked at. Raises InvalidType or InvalidValue before any work.
    """
    _require_tensors(q, k_cache, v_cache, k_scale, v_scale)
    for name, x, letters, rank in (
        ("block_table", block_table, "(B, max_blocks)", 2),
        ("seq_lens", seq_lens, "(B,)", 1),
        ("query_start_loc", query_start_loc, "(B + 1,)", 1),
    ):
        _require_indices(name, x, letters, rank, q)
    _require_batch(block_table, seq_lens, query_start_loc)
    _require_length(max_query_len)
    if return_lse is not True and return_lse is not False:
        raise _type(
            "return_lse must be True or False", f"{type(return_lse).__name__} {return_lse!r:.40}", "pass a bool"
        )
    if window is not None:
        check_window(window)
    if type(softcap) is not float or softcap != 0.0:
        check_softcap(softcap)
    if scale is not None:
        check_scale(scale)
    if sinks is not None:
        check_sinks(sinks, q[None])
    if q.device.type == "meta":
        return []
    texts = _read(block_table, seq_lens, query_start_loc, q.shape[0], k_cache)
    longest = max((length for length, _ in texts), default=0)
    if longest > max_query_len:
        found = f"{max_query_len} for a text of {longest}"
        raise _value("max_query_len must be at least the longest run of queries", found, f"pass {longest}")
    return texts


def _require_tensors(q: Tensor, k: Tensor, v: Tensor, k_scale: Tensor | None, v_scale: Tensor | None) -> None:
    """Queries and cache agree in shape, dtype and place, and scales come with a quantised cache and only with it."""
    layouts = (
        ("q", q, "(T, H, D)", 3),
        *((n, x, "(num_blocks, P, G, D)", 4) for n, x in (("k_cache", k), ("v_cache", v))),
    )
    for name, x, letters, rank in layouts:
        if not isinstance(x, Tensor):
            raise _type(f"{name} must be a torch tensor {letters}", type(x).__name__, "convert it with torch.as_tensor")
        if x.layout is not torch.strided or x.is_nested:
            raise _type(f"{name} must be a dense tensor", str(x.layout), "use .to_dense()")
        if x.dim() != rank:
            remedy = "pack a batch of one length with x.flatten(0, 1)" if rank == 3 else "a cache is blocks of P tokens"
            raise _value(f"{name} must have {rank} dimensions {letters}", f"{x.dim()}: {tuple(x.shape)}", remedy)
    if q.dtype not in FLOATS:
        raise _type("q must hold floating-point numbers", str(q.dtype), "convert it, e.g. q.float()")
    check_shapes((1, *q.shape), (1, *k.shape[1:]), (1, *v.shape[1:]))
    if k.shape != v.shape or not k.shape[1]:
        found = f"{tuple(k.shape)} and {tuple(v.shape)}"
        raise _value("k_cache and v_cache must have one shape, with P of 1 or more", found, "allocate both alike")
    if not q.device == k.device == v.device:
        found = f"{q.device}, {k.device}, {v.device}"
        raise _value("q, k_cache and v_cache must be on one device", found, "move them with .to(q.device)")
    if k.dtype != v.dtype:
        raise _type("k_cache and v_cache must share one dtype", f"{k.dtype} and {v.dtype}", "allocate both alike")
    if k.dtype not in QUANTIZED:
        if k_scale is not None or v_scale is not None:
            rule = "scales belong to a quantised cache, int8 or float8_e4m3fn"
            raise _type(rule, f"scales and a cache of {k.dtype}", "leave k_scale and v_scale out")
        if k.dtype != q.dtype:
            rule = "q and an unquantised cache must share one dtype"
            raise _type(rule, f"{q.dtype} and {k.dtype}", f"convert the queries with q.to({k.dtype})")
        return
    for name, scales in (("k_scale", k_scale), ("v_scale", v_scale)):
        _require_scale(name, scales, k)


def _require_scale(name: str, x: Tensor | None, cache: Tensor) -> None:
    if not isinstance(x, Tensor) or x.dtype != torch.float32:
        found = str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
        rule = f"a cache of {cache.dtype} needs {name}, a float32 tensor (num_blocks, P, G)"
        raise _type(rule, found, "pass the scales that were stored with the numbers")
    if x.shape != cache.shape[:3]:
        found = f"{tuple(x.shape)} for {tuple(cache.shape)}"
        raise _value(f"{name} must have shape (num_blocks, P, G), one scale a token and head", found, "allocate it so")
    if x.device != cache.device:
        raise _value(f"{name} must be on the cache's device", f"{x.device} and {cache.device}", "move it there")


def _require_indices(name: str, x: Tensor, letters: str, rank: int, q: Tensor) -> None:
    check_indices(name, x, letters, torch.int32)
    if x.dim() != rank:
        raise _value(f"{name} must have shape {letters}", str(tuple(x.shape)), "see what it means in the docstring")
    if x.device != q.device:
        raise _value(f"{name} must be where the queries are", f"{x.device} and {q.device}", "move it there")


def _require_batch(block_table: Tensor, seq_lens: Tensor, query_start_loc: Tensor) -> None:
    B = seq_lens.shape[0]
    if block_table.shape[0] != B or query_start_loc.shape[0] != B + 1:
        found = f"{block_table.shape[0]} rows of the table, {B} lengths, {query_start_loc.shape[0]} offsets"
        remedy = "give each text a row and a length, and query_start_loc a 0 before the ends"
        raise _value("block_table, seq_lens and query_start_loc must tell of the same texts", found, remedy)


def _require_length(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise _type("max_query_len must be a whole number", f"{type(value).__name__} {value!r:.40}", "pass an int")
    if value < 0:
        raise _value("max_query_len must not be negative", str(value), "pass the longest run of queries")


@dataclass(frozen=True)
class _Checked:
    """What the three tensors held when they were read, and what says that they are still the same.

    The tensors themselves are remembered, and not where they lie: memory that one gave back is the next one's.
    """

    sizes: tuple[int, ...]
    tensors: tuple[tuple[weakref.ref[Tensor], int], ...]
    texts: Texts

    def holds(self, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> bool:
        """Whether these are the tensors that were read, and nothing was written to them since."""
        pairs = zip(self.tensors, tensors, strict=True)
        return self.sizes == sizes and all(seen() is x and version == x._version for (seen, version), x in pairs)


def _read(block_table: Tensor, seq_lens: Tensor, query_start_loc: Tensor, T: int, cache: Tensor) -> Texts:
    """The texts' lengths, all numbers checked. A GPU's tensors are read again only when torch has written to one.

    Tensors in the CPU's memory are read each time, which costs little: NumPy may share them, and writes unnoticed.
    """
    tensors = (block_table, seq_lens, query_start_loc)
    kept = _tells_of_writes(tensors)
    sizes = (T, *cache.shape[:2])
    known = getattr(query_start_loc, "_minillm_paged", None) if kept else None
    if known is not None and known.holds(sizes, tensors):
        return known.texts
    with on_chip():  # reading lengths is the host's business, no traffic of attention's
        texts = _check_lengths(query_start_loc.tolist(), seq_lens.tolist(), T, block_table.shape[1] * cache.shape[1])
        _check_table(block_table, seq_lens, cache.shape[0], cache.shape[1])
    if kept:
        seen = tuple((weakref.ref(x), x._version) for x in tensors)
        query_start_loc._minillm_paged = _Checked(sizes, seen, texts)  # type: ignore[attr-defined]
    return texts


def _tells_of_writes(tensors: tuple[Tensor, ...]) -> bool:
    """Whether torch counts every write to these: not what NumPy may share, nor what inference mode made."""
    return tensors[0].device.type != "cpu" and not any(x.is_inference() for x in tensors)


def _check_lengths(offsets: list[int], lengths: list[int], T: int, reach: int) -> Texts:
    """(L, S) of each text. Raises InvalidValue unless the offsets run from 0 up to T and L <= S <= the table's reach."""
    if offsets[0] != 0:
        raise _value("query_start_loc must start at 0", str(offsets[0]), "put a 0 before the ends")
    texts = [(after - before, S) for (before, after), S in zip(pairwise(offsets), lengths, strict=True)]
    for b, (L, S) in enumerate(texts):
        if L < 0:
            found = f"{offsets[b]} and then {offsets[b + 1]} at {b + 1}"
            raise _value("query_start_loc must ascend", found, "use the lengths' .cumsum(0)")
        if S < L:
            rule = "seq_lens counts the queries too, so it cannot be below their number"
            raise _value(rule, f"{S} for {L} queries of text {b}", "write their keys first, and add them")
        if reach < S:
            rule = "seq_lens must be within the table's reach, max_blocks * P"
            raise _value(rule, f"{S} for text {b}, of {reach}", "widen the block table")
    if offsets[-1] != T:
        raise _value("query_start_loc must end at T", f"an end at {offsets[-1]} for {T} tokens", "cut or add texts")
    return texts


def _check_table(block_table: Tensor, seq_lens: Tensor, num_blocks: int, block_size: int) -> None:
    """Raise InvalidValue where an entry that a text's length makes use of is no block of the pool."""
    column = torch.arange(block_table.shape[1], device=block_table.device)
    used = column * block_size < seq_lens[:, None]
    outside = used & ((block_table < 0) | (block_table >= num_blocks))
    if outside.any():
        b, i = outside.nonzero()[0].tolist()
        found = f"{int(block_table[b, i])} at block {i} of text {b}, of {num_blocks} blocks"
        raise _value("block_table must point into the pool", found, "allocate the block first, or shorten seq_lens")


def _type(rule: str, found: str, remedy: str) -> InvalidType:
    return InvalidType(rule_numbers_remedy(rule, found, remedy))


def _value(rule: str, found: str, remedy: str) -> InvalidValue:
    return InvalidValue(rule_numbers_remedy(rule, found, remedy))
