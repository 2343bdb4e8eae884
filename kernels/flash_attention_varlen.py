"""Flash attention over sequences of different lengths, packed one behind the other without padding.

A batch of prompts rarely has one length. Padding all to the longest wastes work on rows nobody reads; here the tokens of
all sequences lie in one long tensor, and `cu_seqlens` tells where each begins. Every program owns one block of queries of
one head of one sequence, and then does exactly what the dense kernel does: it calls the same `attend_rows`.

Sequence b, two lines (the rest is `flash_attention.py`):

    q rows    cu_seqlens_q[b] … cu_seqlens_q[b + 1]        L of them
    k, v rows cu_seqlens_k[b] … cu_seqlens_k[b + 1]        S of them; causal puts the last query at the last key

Source: the variable-length calls of Dao's FlashAttention; the packing is NVIDIA's for BERT (2020).
"""

import numbers
from dataclasses import dataclass
from itertools import pairwise

import torch

from minillm.attention.validate import validate
from minillm.errors import InvalidType, InvalidValue, Unsupported, rule_numbers_remedy
from minillm.kernels.attention_tiles import Tiles, choose_tiles, require_tiles
from minillm.kernels.flash_attention import (
    LOG2_E,
    attend_rows,
    fold_scale,
    require_kernel_input,
    score_unit,
    smaller_shape,
    tile_steps,
)
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.measure.chip import on_chip
from minillm.measure.tiles import padded_width


@triton.jit
def flash_attention_varlen_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, sinks_ptr, cu_seqlens_q_ptr, cu_seqlens_k_ptr,
    stride_qt, stride_qh, stride_kt, stride_kg, stride_vt, stride_vg, stride_ot, stride_oh,
    T, H, q_tiles, window, scale, softcap, GROUP: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a query block, as in the dense kernel; there are blocks enough for the longest sequence."""
    program = tl.program_id(0)
    q_tile = q_tiles - 1 - program % q_tiles
    bh = program // q_tiles
    b, h = bh // H, tl.cast(bh % H, tl.int64)
    g = h // GROUP
    start_q, end_q = tl.load(cu_seqlens_q_ptr + b), tl.load(cu_seqlens_q_ptr + b + 1)
    L = end_q - start_q
    if q_tile * BLOCK_L >= L:
        return  # past this sequence's last row
    start_k, end_k = tl.load(cu_seqlens_k_ptr + b), tl.load(cu_seqlens_k_ptr + b + 1)
    S = end_k - start_k
    row_q, row_k = tl.cast(start_q, tl.int64), tl.cast(start_k, tl.int64)
    attend_rows(
        q_ptr + row_q * stride_qt + h * stride_qh, k_ptr + row_k * stride_kt + g * stride_kg,
        v_ptr + row_k * stride_vt + g * stride_vg, out_ptr + row_q * stride_ot + h * stride_oh,
        lse_ptr + h * T + row_q, sinks_ptr + h if SINKS else sinks_ptr,
        stride_qt, stride_kt, stride_vt, stride_ot, q_tile, L, S, window, scale, softcap,
        CAUSAL, WINDOW, SOFTCAP, SINKS, D, BLOCK_D, BLOCK_L, BLOCK_S, PRECISION,
    )  # fmt: skip


def flash_attention_varlen(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
    tiles: Tiles | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (T, H, D), k and v (T_k, G, D) -> out (T, H, D), and lse (H, T) in natural log if `return_lse`.

    `cu_seqlens_q` and `cu_seqlens_k` (B + 1,) int32 begin at 0, ascend, and end at T and T_k; sequence b attends to
    itself only. A sequence may be empty on either side. `max_seqlen_q` and `max_seqlen_k` are lengths that no sequence
    exceeds. On a GPU the values of the two tensors are read once, which waits for them, and again when torch has written to
    them; what a kernel or a replayed graph writes there, torch does not notice.
    Options, dtypes and widths are those of `flash_attention`. Raises InvalidType, InvalidValue or Unsupported before any
    work; gradients are Unsupported: the dense call has them.
    """
    sequences = _validate(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    validate(q[None], k[None], v[None], causal, window, softcap, sinks, scale, return_lse)
    require_kernel_input(q, k, v, sinks)
    require_tiles(tiles, Tiles)
    _require_no_gradient(q=q, k=k, v=v, sinks=sinks)
    (T, H, D), G, B = q.shape, k.shape[1], cu_seqlens_q.shape[0] - 1
    target = architecture()
    tiles = tiles or choose_tiles(target, D, q.element_size())
    out = torch.empty((T, H, D), dtype=q.dtype, device=q.device)
    lse = torch.empty((H, T), dtype=torch.float32, device=q.device)
    q, scale = fold_scale(q, scale)
    q, k, v = (x if x.stride(-1) == 1 or D == 1 else x.contiguous() for x in (q, k, v))
    q_tiles = -(-min(int(max_seqlen_q), T) // tiles.block_l)
    launch(
        flash_attention_varlen_kernel,
        (q_tiles * B * H if T else 0,),
        q, k, v, out, lse, None if sinks is None else sinks.contiguous(),
        cu_seqlens_q.contiguous(), cu_seqlens_k.contiguous(),
        *q.stride()[:2], *k.stride()[:2], *v.stride()[:2], *out.stride()[:2],
        T, H, q_tiles, min(int(window or 0), T + k.shape[0]), score_unit(scale, softcap), float(softcap) * LOG2_E,
        GROUP=H // G, CAUSAL=causal, WINDOW=window is not None, SOFTCAP=softcap > 0, SINKS=sinks is not None,
        D=D, BLOCK_D=padded_width(D), BLOCK_L=tiles.block_l, BLOCK_S=tiles.block_s,
        PRECISION=dot_precision(target, q.dtype), num_warps=tiles.num_warps, num_stages=tiles.num_stages,
        tile_steps=lambda: sum(tile_steps(1, L, S, H, tiles, causal, window) for L, S in sequences),
        instead="backend='tiled' or 'sdpa', one sequence a call",
        smaller=lambda limit: _fewer_sequences(sequences, H, tiles, causal, window, limit),
    )  # fmt: skip
    return (out, lse) if return_lse else out


@dataclass(frozen=True)
class _Checked:
    """What reading a `cu_seqlens` found, where it lay and at which version."""

    version: int
    place: int
    offsets: tuple[int, ...]


def _validate(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
) -> list[tuple[int, int]]:
    """Check what the packed call has beyond the dense one, and return (L, S) of each sequence; none of a rehearsal."""
    for name, x, letters in (("q", q, "(T, H, D)"), ("k", k, "(T_k, G, D)"), ("v", v, "(T_k, G, D)")):
        if not isinstance(x, torch.Tensor):
            rule = f"{name} must be a torch tensor {letters}"
            raise InvalidType(rule_numbers_remedy(rule, type(x).__name__, "convert it with torch.as_tensor"))
        if x.dim() != 3:
            rule = f"{name} must have 3 dimensions {letters}: all tokens packed, without a batch"
            remedy = "pack a batch of one length with x.flatten(0, 1), or use flash_attention"
            raise InvalidValue(rule_numbers_remedy(rule, f"{x.dim()}: {tuple(x.shape)}", remedy))
    lengths = []
    for side, x, ends, longest in (("q", q, cu_seqlens_q, max_seqlen_q), ("k", k, cu_seqlens_k, max_seqlen_k)):
        _require_int(f"max_seqlen_{side}", longest)
        _require_offsets(f"cu_seqlens_{side}", ends, x)
        lengths.append(_lengths(f"cu_seqlens_{side}", ends, f"max_seqlen_{side}", longest, x.shape[0]))
    if cu_seqlens_q.shape != cu_seqlens_k.shape:
        found = f"{cu_seqlens_q.shape[0] - 1} and {cu_seqlens_k.shape[0] - 1} sequences"
        rule = "cu_seqlens_q and cu_seqlens_k must tell of the same sequences"
        raise InvalidValue(rule_numbers_remedy(rule, found, "give an empty sequence two equal entries"))
    return list(zip(*lengths, strict=True))


def _require_int(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        kind = f"{type(value).__name__} {value!r:.40}"
        raise InvalidType(rule_numbers_remedy(f"{name} must be a whole number of tokens", kind, "pass an int"))
    if value < 0:
        raise InvalidValue(rule_numbers_remedy(f"{name} must not be negative", str(value), "pass the longest length"))


def _require_offsets(name: str, ends: object, x: torch.Tensor) -> None:
    if not isinstance(ends, torch.Tensor) or ends.dtype != torch.int32:
        kind = str(ends.dtype) if isinstance(ends, torch.Tensor) else type(ends).__name__
        remedy = "convert it with torch.as_tensor(x, dtype=torch.int32)"
        raise InvalidType(rule_numbers_remedy(f"{name} must be an int32 tensor (B + 1,)", kind, remedy))
    if ends.dim() != 1 or not len(ends):
        remedy = "start with 0 and add the end of each sequence"
        raise InvalidValue(rule_numbers_remedy(f"{name} must have shape (B + 1,)", str(tuple(ends.shape)), remedy))
    if ends.device != x.device:
        found = f"{ends.device} and {x.device}"
        raise InvalidValue(rule_numbers_remedy(f"{name} must be where the tokens are", found, "move it there"))


def _lengths(name: str, ends: torch.Tensor, longest_name: str, longest: int, T: int) -> list[int]:
    """Each sequence's length. Raises InvalidValue unless the offsets start at 0, ascend, end at T and fit `longest`."""
    if ends.device.type == "meta":
        return []
    offsets = _read(ends)
    lengths = [after - before for before, after in pairwise(offsets)]
    if offsets[0] != 0:
        raise InvalidValue(rule_numbers_remedy(f"{name} must start at 0", str(offsets[0]), "put a 0 before the ends"))
    if any(length < 0 for length in lengths):
        b = next(b for b, length in enumerate(lengths) if length < 0)
        found = f"{offsets[b]} and then {offsets[b + 1]} at {b + 1}"
        raise InvalidValue(rule_numbers_remedy(f"{name} must ascend", found, "use the lengths' .cumsum(0)"))
    if offsets[-1] != T:
        found = f"an end at {offsets[-1]} for {T} tokens"
        raise InvalidValue(rule_numbers_remedy(f"{name} must end at the last token", found, "cut or add sequences"))
    if max(lengths, default=0) > longest:
        found = f"{longest} for a sequence of {max(lengths)} tokens"
        rule = f"{longest_name} must be at least the longest sequence"
        raise InvalidValue(rule_numbers_remedy(rule, found, f"pass {max(lengths)}"))
    return lengths


def _read(ends: torch.Tensor) -> tuple[int, ...]:
    """The offsets as numbers. A GPU's tensor carries them from then on, for as long as torch writes nothing to it.

    One in the CPU's memory is read each time, which costs little: NumPy may share it, and writes unnoticed.
    """
    kept = ends.device.type != "cpu" and not ends.is_inference()
    known = getattr(ends, "_minillm_checked", None) if kept else None
    if known is not None and (known.version, known.place) == (ends._version, ends.data_ptr()):
        return known.offsets
    with on_chip():  # reading lengths is the host's business, no traffic of attention's
        offsets = tuple(ends.tolist())
    if kept:
        ends._minillm_checked = _Checked(ends._version, ends.data_ptr(), offsets)  # type: ignore[attr-defined]
    return offsets


def _require_no_gradient(**tensors: torch.Tensor | None) -> None:
    if not torch.is_grad_enabled():
        return
    wanting = [name for name, x in tensors.items() if x is not None and x.requires_grad]
    if wanting:
        rule = "flash_attention_varlen has no backward pass, so gradients would be lost"
        remedy = "use flash_attention, one sequence or one padded batch a call, or torch.no_grad()"
        raise Unsupported(rule_numbers_remedy(rule, f"{wanting[0]} with requires_grad=True", remedy))


def _fewer_sequences(
    sequences: list[tuple[int, int]], H: int, tiles: Tiles, causal: bool, window: int | None, limit: int
) -> str:
    """How many of the sequences fit `limit` steps together, in words; if not even one, how long the first may be."""
    total = 0
    for count, (L, S) in enumerate(sequences):
        total += tile_steps(1, L, S, H, tiles, causal, window)
        if total > limit:
            return f"the first {count} sequences" if count else smaller_shape(1, L, S, H, tiles, causal, window, limit)
    return "these sequences"
