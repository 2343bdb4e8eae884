"""Write new keys and values to the slots of a paged cache that are kept for them.

Every new token has a slot: block b, place i, together b · P + i. The rows of the two caches that the slots name are
scattered over memory, the tokens are not; so this is a copy whose target addresses are looked up. A cache in 8 bits takes
each row divided by a scale of its own, so that the row's largest number just fits, and the scale beside it.

Token t, KV head g, four lines (once for k, once for v):

    b, i    = slots[t] // P, slots[t] % P              a slot of -1 is nowhere: nothing is written
    scale   = max(|x[t, g]|) / 127                     8 bits only; 1 for a row of zeros, NaN for one with NaN or inf
    row     = round(x[t, g] / scale)                   to nearest, ties to even
    cache[b, i, g], scales[b, i, g] = row, scale

Source: Kwon et al., "PagedAttention" (2023), `reshape_and_cache`.
"""

import torch

from minillm.attention.validate import check_indices
from minillm.errors import InvalidType, InvalidValue, Unsupported, rule_numbers_remedy
from minillm.kernels.operands import require_operand
from minillm.kernels.runtime import architecture, launch, tl, triton
from minillm.kernels.targets import has_float8
from minillm.measure.chip import on_chip

# Elements of k, and of v, that a program moves, at 4 warps: 16 bytes a thread and load, twice.
TILE = 2048
INSTEAD = "torch's index_copy_ on the caches' flattened blocks"
# The largest number that each 8-bit kind holds.
LARGEST = {torch.int8: 127, torch.float8_e4m3fn: 448}


@triton.jit
def to_nearest(x, LARGEST: tl.constexpr):
    """x, at most LARGEST in size, rounded to what the kind holds, ties to even: adding a large number rounds the small one."""
    if LARGEST == 127:
        magic = 12582912.0  # 1.5 * 2**23: float32 has no halves beyond it
    else:  # e4m3: three bits after the leading one, of which numbers below 2**-6 have fewer
        power = (x.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
        magic = tl.maximum(power, 0.015625) * 1572864.0  # 1.5 * 2**20
    return (x + magic) - magic


@triton.jit
def write_rows(x_ptrs, cache_ptrs, scale_ptrs, mask_r, mask_d, LARGEST: tl.constexpr):
    """Rows of x (BLOCK_R, BLOCK_D) to the cache, and with LARGEST, in 8 bits, their scales (BLOCK_R,) too."""
    mask = mask_r[:, None] & mask_d[None, :]
    x = tl.load(x_ptrs, mask=mask, other=0.0)
    if LARGEST:
        x = x.to(tl.float32)
        # A number that is not finite makes its row's scale NaN, so that it cannot pass for one that is.
        most = tl.max(tl.abs(x), 1) + tl.sum(x * 0.0, 1)
        scale = tl.div_rn(most, tl.full(most.shape, LARGEST, tl.float32))
        scale = tl.where(scale == 0.0, 1.0, scale)
        tl.store(scale_ptrs, scale, mask=mask_r)
        x = tl.div_rn(x, tl.broadcast_to(scale[:, None], x.shape))
        x = to_nearest(tl.minimum(tl.maximum(x, -LARGEST), LARGEST), LARGEST)
    tl.store(cache_ptrs, x.to(cache_ptrs.dtype.element_ty), mask=mask)


@triton.jit
def kv_write_kernel(
    k_ptr, v_ptr, k_cache_ptr, v_cache_ptr, k_scale_ptr, v_scale_ptr, slots_ptr,
    stride_kt, stride_kg, stride_vt, stride_vg,
    stride_ckn, stride_ckp, stride_ckg, stride_cvn, stride_cvp, stride_cvg,
    T, num_slots, G: tl.constexpr, P: tl.constexpr, LARGEST: tl.constexpr,
    D: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One program writes BLOCK_R rows (t, g) of k and the same of v."""
    rows = tl.cast(tl.program_id(0), tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    t, g = rows // G, rows % G
    slots = tl.load(slots_ptr + t, mask=t < T, other=-1)
    mask_r = (slots >= 0) & (slots < num_slots)
    n, p = slots // P, slots % P
    offs_d = tl.arange(0, BLOCK_D)
    mask_d = offs_d < D

    k_ptrs = k_ptr + (t * stride_kt + g * stride_kg)[:, None] + offs_d[None, :]
    v_ptrs = v_ptr + (t * stride_vt + g * stride_vg)[:, None] + offs_d[None, :]
    k_cache_ptrs = k_cache_ptr + (n * stride_ckn + p * stride_ckp + g * stride_ckg)[:, None] + offs_d[None, :]
    v_cache_ptrs = v_cache_ptr + (n * stride_cvn + p * stride_cvp + g * stride_cvg)[:, None] + offs_d[None, :]
    scales = slots * G + g
    write_rows(k_ptrs, k_cache_ptrs, k_scale_ptr + scales if LARGEST else k_scale_ptr, mask_r, mask_d, LARGEST)
    write_rows(v_ptrs, v_cache_ptrs, v_scale_ptr + scales if LARGEST else v_scale_ptr, mask_r, mask_d, LARGEST)


def kv_write(
    k: torch.Tensor,
    v: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    *,
    k_scale: torch.Tensor | None = None,
    v_scale: torch.Tensor | None = None,
) -> None:
    """k and v (T, G, D) into k_cache and v_cache (num_blocks, P, G, D) in place, at slots (T,) int64; -1 writes nothing.

    float16, bfloat16 or float32, with any strides but the last; the caches have the same dtype, or are int8 or
    float8_e4m3fn with k_scale and v_scale (num_blocks, P, G) float32, contiguous, which are written too. A row
    that holds NaN or an infinity gets the scale NaN. On a GPU slots are not read by the host: one beyond the cache writes
    nothing there, and two tokens in one slot leave either, where the CPU raises. Raises InvalidType, InvalidValue or
    Unsupported before anything is written.
    """
    validate_write(k, v, k_cache, v_cache, slot_mapping)
    largest = require_scales(k_cache, k_scale, v_scale)
    T, G, D = k.shape
    num_blocks, P = k_cache.shape[:2]
    k, v = (x if x.stride(-1) == 1 or D == 1 else x.contiguous() for x in (k, v))
    block_d = 1 << (D - 1).bit_length()
    block_r = max(1, TILE // block_d)
    programs = -(-T * G // block_r)
    launch(
        kv_write_kernel, (programs,), k, v, k_cache, v_cache, k_scale, v_scale, slot_mapping.contiguous(),
        *k.stride()[:2], *v.stride()[:2], *k_cache.stride()[:3], *v_cache.stride()[:3],
        T, num_blocks * P, G=G, P=P, LARGEST=largest, D=D, BLOCK_R=block_r, BLOCK_D=block_d,
        tile_steps=lambda: programs, smaller=lambda limit: f"at most {limit * block_r // G:,} tokens", instead=INSTEAD,
    )  # fmt: skip


def validate_write(
    k: torch.Tensor, v: torch.Tensor, k_cache: torch.Tensor, v_cache: torch.Tensor, slot_mapping: torch.Tensor
) -> None:
    """Tokens, caches and slots fit together. Slots in the CPU's memory must be different, and lie in the cache or be -1."""
    for name, x in (("k", k), ("v", v)):
        require_operand(name, x, INSTEAD)
        if x.dim() != 3 or x.shape != k.shape:
            rule, found = "k and v must have the same shape (T, G, D)", f"{tuple(k.shape)} and {tuple(v.shape)}"
            raise InvalidValue(rule_numbers_remedy(rule, found, "pack all texts' tokens with x.flatten(0, 1)"))
    for name, cache in (("k_cache", k_cache), ("v_cache", v_cache)):
        _require_cache(name, cache, k)
    if k_cache.shape != v_cache.shape or k_cache.dtype != v_cache.dtype:
        rule = "k_cache and v_cache must be alike"
        found = f"{tuple(k_cache.shape)} {k_cache.dtype} and {tuple(v_cache.shape)} {v_cache.dtype}"
        raise InvalidValue(rule_numbers_remedy(rule, found, "make both with the same sizes"))
    if k.dtype != v.dtype or k_cache.dtype not in (k.dtype, *LARGEST):
        rule = "k, v and the caches must share one dtype, or the caches be int8 or float8_e4m3fn"
        found = f"{k.dtype}, {v.dtype} and {k_cache.dtype}"
        raise InvalidType(rule_numbers_remedy(rule, found, "convert k and v to the caches' dtype"))
    if len({x.device for x in (k, v, k_cache, v_cache)}) > 1:
        found = f"{k.device}, {v.device}, {k_cache.device}, {v_cache.device}"
        raise InvalidValue(rule_numbers_remedy("tokens and caches must be on one device", found, "move them there"))
    require_slots(slot_mapping, k, k_cache.shape[0] * k_cache.shape[1])


def _require_cache(name: str, cache: object, k: torch.Tensor) -> None:
    if not isinstance(cache, torch.Tensor):
        rule = f"{name} must be a torch tensor (num_blocks, P, G, D)"
        raise InvalidType(rule_numbers_remedy(rule, type(cache).__name__, "pass one layer of a paged cache"))
    if cache.dim() != 4 or cache.shape[2:] != k.shape[1:] or 0 in cache.shape[1:]:
        rule = f"{name} must have shape (num_blocks, P, G, D) with k's G and D"
        raise InvalidValue(rule_numbers_remedy(rule, f"{tuple(cache.shape)} for k {tuple(k.shape)}", "check the layer"))
    if cache.stride(-1) != 1 and cache.shape[-1] > 1:
        rule = f"{name} is written in place, so its last dimension must be contiguous"
        raise InvalidValue(rule_numbers_remedy(rule, f"strides {cache.stride()}", "make it with torch.empty"))


def require_slots(slot_mapping: torch.Tensor, k: torch.Tensor, num_slots: int) -> None:
    """slot_mapping is (T,) int64 beside k; in the CPU's memory its slots are looked at."""
    check_indices("slot_mapping", slot_mapping, "(T,)", torch.int64)
    if tuple(slot_mapping.shape) != (k.shape[0],):
        found = f"{tuple(slot_mapping.shape)} for {k.shape[0]} tokens"
        raise InvalidValue(rule_numbers_remedy("slot_mapping must have shape (T,)", found, "pass one slot a token"))
    if slot_mapping.device != k.device:
        found = f"{slot_mapping.device} and {k.device}"
        raise InvalidValue(rule_numbers_remedy("slot_mapping must be where the tokens are", found, "move it there"))
    if slot_mapping.device.type != "cpu":
        return
    with on_chip():  # the host's own look is no traffic of the kernel's
        slots = slot_mapping.tolist()
    outside = next((slot for slot in slots if not -1 <= slot < num_slots), None)
    if outside is not None:
        rule = f"slots must lie in 0 … {num_slots - 1}, or be -1 for nowhere"
        raise InvalidValue(rule_numbers_remedy(rule, str(outside), "use the slots of a block table"))
    kept = [slot for slot in slots if slot >= 0]
    if len(set(kept)) < len(kept):
        twice = next(slot for slot in kept if kept.count(slot) > 1)
        raise InvalidValue(rule_numbers_remedy("no two tokens may have one slot", f"{twice} twice", "check the tables"))


def require_scales(cache: torch.Tensor, k_scale: torch.Tensor | None, v_scale: torch.Tensor | None) -> int:
    """The largest number an 8-bit cache holds, or 0 for others. Scales must be there exactly when the cache is in 8 bits."""
    largest = LARGEST.get(cache.dtype, 0)
    for name, scale in (("k_scale", k_scale), ("v_scale", v_scale)):
        if scale is None and not largest:
            continue
        if not largest or not isinstance(scale, torch.Tensor) or scale.dtype != torch.float32:
            found = "None" if scale is None else f"{getattr(scale, 'dtype', type(scale).__name__)} for {cache.dtype}"
            rule = f"{name} must be float32 for a cache in 8 bits, and None for others"
            raise InvalidType(rule_numbers_remedy(rule, found, "make it with torch.empty(k_cache.shape[:3])"))
        if scale.shape != cache.shape[:3] or not scale.is_contiguous() or scale.device != cache.device:
            rule = f"{name} must be (num_blocks, P, G), contiguous, beside the cache"
            found = f"{tuple(scale.shape)} on {scale.device} for cache {tuple(cache.shape)}"
            raise InvalidValue(rule_numbers_remedy(rule, found, "make it with torch.empty(k_cache.shape[:3])"))
    if cache.dtype == torch.float8_e4m3fn and not has_float8(architecture()):
        rule = "float8_e4m3fn takes a GPU of compute capability 8.9 or higher"
        raise Unsupported(rule_numbers_remedy(rule, architecture(), "keep the cache in int8"))
    return largest
