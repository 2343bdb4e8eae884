"""Turn queries and keys by their positions, and, in the same breath, write keys and values to their slots.

A rotary position is an angle for each pair of numbers (i, i + D/2) of a head, the same in every head. One program takes
one token with all its heads, so its cosines and sines are read once; and since the turned key goes straight to its slot in
the cache, it is never written anywhere to be read again.

Token t at position s = positions[t], every head x, two lines (`model/layers.py` has the table; its sine carries its sign):

    out[: D/2] = x[: D/2] * cos[s, : D/2] + x[D/2 :] * sin[s, : D/2]
    out[D/2 :] = x[D/2 :] * cos[s, D/2 :] + x[: D/2] * sin[s, D/2 :]

Source: Su et al., "RoFormer" (2021); the fusion with the cache is vLLM's and FlashInfer's.
"""

import torch

from minillm.attention.validate import check_indices
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.kernels.kv_write import validate_write
from minillm.kernels.operands import require_operand
from minillm.kernels.runtime import launch, tl, triton
from minillm.measure.chip import on_chip

# Elements that a program turns at once, at 4 warps: 32 a thread. More heads take several turns.
TILE = 4096
INSTEAD = "torch, as minillm.model's layers do"


@triton.jit
def turn_heads(
    x_ptr, out_ptr, stride_xh, stride_oh, cos_low, cos_high, sin_low, sin_high, writes,
    H: tl.constexpr, D: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """All heads of one token: x (H, D) -> out (H, D), half by half; `writes` off stores nothing."""
    offs_d = tl.arange(0, BLOCK_D)
    for first in range(0, H, BLOCK_H):
        offs_h = first + tl.arange(0, BLOCK_H)
        mask = (offs_h < H)[:, None] & (offs_d < D // 2)[None, :]
        heads = tl.cast(offs_h, tl.int64)[:, None]
        x_ptrs = x_ptr + heads * stride_xh + offs_d[None, :]
        low = tl.load(x_ptrs, mask=mask, other=0.0).to(tl.float32)  # (BLOCK_H, BLOCK_D)
        high = tl.load(x_ptrs + D // 2, mask=mask, other=0.0).to(tl.float32)
        turned_low = low * cos_low[None, :] + high * sin_low[None, :]
        turned_high = high * cos_high[None, :] + low * sin_high[None, :]
        out_ptrs = out_ptr + heads * stride_oh + offs_d[None, :]
        tl.store(out_ptrs, turned_low.to(out_ptr.dtype.element_ty), mask=mask & writes)
        tl.store(out_ptrs + D // 2, turned_high.to(out_ptr.dtype.element_ty), mask=mask & writes)


@triton.jit
def copy_heads(
    x_ptr, out_ptr, stride_xh, stride_oh, writes,
    H: tl.constexpr, D: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """All heads of one token as they are: x (H, D) -> out (H, D)."""
    offs_d = tl.arange(0, 2 * BLOCK_D)
    for first in range(0, H, BLOCK_H):
        offs_h = first + tl.arange(0, BLOCK_H)
        mask = (offs_h < H)[:, None] & (offs_d < D)[None, :] & writes
        heads = tl.cast(offs_h, tl.int64)[:, None]
        x = tl.load(x_ptr + heads * stride_xh + offs_d[None, :], mask=mask, other=0.0)
        tl.store(out_ptr + heads * stride_oh + offs_d[None, :], x, mask=mask)


@triton.jit
def rotary_kernel(
    q_ptr, k_ptr, v_ptr, cos_ptr, sin_ptr, positions_ptr, slots_ptr, q_out_ptr, k_out_ptr, v_out_ptr,
    stride_qt, stride_qh, stride_kt, stride_kg, stride_vt, stride_vg, stride_ct, stride_st, stride_qot, stride_qoh,
    stride_kon, stride_kop, stride_kog, stride_von, stride_vop, stride_vog,
    num_positions, num_slots, H: tl.constexpr, G: tl.constexpr, P: tl.constexpr, TO_CACHE: tl.constexpr,
    D: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One program turns one token; its key and value go to a slot (TO_CACHE), or its key to row t of an output."""
    t = tl.cast(tl.program_id(0), tl.int64)
    position = tl.cast(tl.load(positions_ptr + t), tl.int64)
    offs_d = tl.arange(0, BLOCK_D)
    # A position that is in no table turns everything to NaN, and reads nothing.
    mask_d = (offs_d < D // 2) & (position >= 0) & (position < num_positions)
    cos_ptrs, sin_ptrs = cos_ptr + position * stride_ct + offs_d, sin_ptr + position * stride_st + offs_d
    cos_low = tl.load(cos_ptrs, mask=mask_d, other=float("nan")).to(tl.float32)  # (BLOCK_D,)
    cos_high = tl.load(cos_ptrs + D // 2, mask=mask_d, other=float("nan")).to(tl.float32)
    sin_low = tl.load(sin_ptrs, mask=mask_d, other=float("nan")).to(tl.float32)
    sin_high = tl.load(sin_ptrs + D // 2, mask=mask_d, other=float("nan")).to(tl.float32)
    turn_heads(
        q_ptr + t * stride_qt, q_out_ptr + t * stride_qot, stride_qh, stride_qoh, cos_low, cos_high, sin_low, sin_high,
        t >= 0, H, D, BLOCK_H, BLOCK_D,
    )  # fmt: skip
    n, p, writes = t, tl.cast(0, tl.int64), t >= 0
    if TO_CACHE:
        slot = tl.load(slots_ptr + t)
        writes = (slot >= 0) & (slot < num_slots)
        n, p = slot // P, slot % P
        copy_heads(
            v_ptr + t * stride_vt, v_out_ptr + n * stride_von + p * stride_vop, stride_vg, stride_vog,
            writes, G, D, BLOCK_G, BLOCK_D,
        )  # fmt: skip
    turn_heads(
        k_ptr + t * stride_kt, k_out_ptr + n * stride_kon + p * stride_kop, stride_kg, stride_kog,
        cos_low, cos_high, sin_low, sin_high, writes, G, D, BLOCK_G, BLOCK_D,
    )  # fmt: skip


def rotary(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """q (T, H, D), k (T, G, D), cos and signed sin (max_pos, D), positions (T,) -> q and k, turned, as new tensors.

    float16, bfloat16 or float32 with any strides but the last; sums are float32, whatever the table's dtype. D is even.
    positions are int32 or int64; on a GPU the host does not read them, and one beyond the table gives NaN, where the CPU
    raises. Raises InvalidType or InvalidValue before any work.
    """
    _validate(q, k, cos, sin, positions)
    k_out = torch.empty(k.shape, dtype=k.dtype, device=k.device)
    return _turn(q, k, None, cos, sin, positions, k_out[:, None], None, None), k_out


def rotary_write(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
) -> torch.Tensor:
    """`rotary` of q (T, H, D) and k (T, G, D), with k and v (T, G, D) written to their slots as `kv_write` does -> turned q.

    k_cache and v_cache (num_blocks, P, G, D) have k's dtype; slot_mapping (T,) int64, where -1 writes nothing. Raises
    InvalidType or InvalidValue before any work.
    """
    _validate(q, k, cos, sin, positions)
    validate_write(k, v, k_cache, v_cache, slot_mapping)
    if k_cache.dtype != k.dtype:
        rule = "rotary_write takes caches of k's dtype"
        raise InvalidType(rule_numbers_remedy(rule, f"{k_cache.dtype} and {k.dtype}", "use rotary, then kv_write"))
    return _turn(q, k, v, cos, sin, positions, k_cache, v_cache, slot_mapping)


def _turn(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor | None,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor,
    k_out: torch.Tensor,
    v_out: torch.Tensor | None,
    slot_mapping: torch.Tensor | None,
) -> torch.Tensor:
    """One launch for both functions; k_out and v_out (num_blocks, P, G, D), of one place a block without slots."""
    (T, H, D), G = q.shape, k.shape[1]
    num_blocks, P = k_out.shape[:2]
    q_out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    q, k, cos, sin = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, cos, sin))
    if v is not None and v.stride(-1) != 1:
        v = v.contiguous()
    block_d = 1 << (D // 2 - 1).bit_length()
    block_h, block_g = (min(1 << (n - 1).bit_length(), max(1, TILE // (2 * block_d))) for n in (H, G))
    steps = T * (-(-H // block_h) + -(-G // block_g))
    launch(
        rotary_kernel, (T,), q, k, v, cos, sin, positions.contiguous(),
        None if slot_mapping is None else slot_mapping.contiguous(), q_out, k_out, v_out,
        *q.stride()[:2], *k.stride()[:2], *((0, 0) if v is None else v.stride()[:2]), cos.stride(0), sin.stride(0),
        *q_out.stride()[:2], *k_out.stride()[:3], *((0, 0, 0) if v_out is None else v_out.stride()[:3]),
        cos.shape[0], num_blocks * P, H=H, G=G, P=P, TO_CACHE=slot_mapping is not None,
        D=D, BLOCK_H=block_h, BLOCK_G=block_g, BLOCK_D=block_d,
        tile_steps=lambda: steps, smaller=lambda limit: f"at most {limit * T // steps:,} tokens", instead=INSTEAD,
    )  # fmt: skip
    return q_out


def _validate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, positions: torch.Tensor) -> None:
    for name, x in (("q", q), ("k", k), ("cos", cos), ("sin", sin)):
        require_operand(name, x, INSTEAD)
    if q.dim() != 3 or k.dim() != 3 or q.shape[::2] != k.shape[::2] or 0 in (*q.shape[1:], *k.shape[1:]):
        rule, found = "q must be (T, H, D) and k (T, G, D)", f"{tuple(q.shape)} and {tuple(k.shape)}"
        raise InvalidValue(rule_numbers_remedy(rule, found, "pack all texts' tokens with x.flatten(0, 1)"))
    D = q.shape[-1]
    if D % 2:
        rule = "rotary turns pairs, so the head width D must be even"
        raise InvalidValue(rule_numbers_remedy(rule, str(D), f"use {D - 1} or {D + 1}"))
    if q.dtype != k.dtype:
        raise InvalidType(rule_numbers_remedy("q and k must share one dtype", f"{q.dtype}, {k.dtype}", "convert one"))
    if cos.dim() != 2 or cos.shape != sin.shape or cos.shape[1] != D:
        rule, found = "cos and sin must be (max_pos, D)", f"{tuple(cos.shape)} and {tuple(sin.shape)} for D={D}"
        raise InvalidValue(rule_numbers_remedy(rule, found, "take both from rotary_table"))
    check_indices("positions", positions, "(T,)", torch.int64, torch.int32)
    if tuple(positions.shape) != (q.shape[0],):
        found = f"{tuple(positions.shape)} for {q.shape[0]} tokens"
        raise InvalidValue(rule_numbers_remedy("positions must have shape (T,)", found, "pass one a token"))
    if len({x.device for x in (q, k, cos, sin, positions)}) > 1:
        found = ", ".join(str(x.device) for x in (q, k, cos, sin, positions))
        raise InvalidValue(rule_numbers_remedy("all tensors must be on one device", found, "move them there"))
    _require_positions(positions, cos.shape[0])


def _require_positions(positions: torch.Tensor, num_positions: int) -> None:
    """In the CPU's memory positions are looked at."""
    if positions.device.type != "cpu":
        return
    with on_chip():  # the host's own look is no traffic of the kernel's
        outside = next((s for s in positions.tolist() if not 0 <= s < num_positions), None)
    if outside is not None:
        rule = f"positions must lie in 0 … {num_positions - 1}, where the table ends"
        raise InvalidValue(rule_numbers_remedy(rule, str(outside), "make a longer table"))
