"""Merge attention to parts of the keys into attention to all of them.

Each part is an average of its values and the log of its weight. One program takes a block of rows past all parts and
keeps what flash attention keeps while it walks over tiles: the largest log so far, the sum and the output relative to it.
A part here is what a tile is there, with its exponentials already summed.

One part, four lines (`attention/merge.py` is the same in torch, whole):

    m'    = max(m, lse_i)
    p     = exp(lse_i - m')                       0 for a part that saw nothing: its lse is -inf
    l     = l * exp(m - m') + p
    acc   = acc * exp(m - m') + p * out_i         at the end: out = acc / l, lse = m + log(l)

Source: Dao et al., "Flash-Decoding" (2023).
"""

import torch

from minillm.attention.merge import States, stack_states
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.operands import DTYPES, require_plain
from minillm.kernels.runtime import launch, tl, triton

# Elements of the output that a program holds, at 4 warps: 32 float32 a thread. A wider row is held whole, up to a limit.
TILE = 4096
WIDEST = 65_536
INSTEAD = "minillm.attention.merge.naive_merge_states"


@triton.jit
def merge_states_kernel(
    outs_ptr, lses_ptr, out_ptr, lse_ptr,
    stride_on, stride_ob, stride_ol, stride_oh, stride_ln, stride_lb, stride_lh, stride_ll,
    parts, num_rows, L, H, D, BLOCK_R: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One program merges BLOCK_R rows (b, l, h) of the output; rows are numbered as they lie in it."""
    offs_r = tl.cast(tl.program_id(0), tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    offs_d = tl.arange(0, BLOCK_D)
    mask_r = offs_r < num_rows
    mask_d = offs_d < D
    h, bl = offs_r % H, offs_r // H
    b, row = bl // L, bl % L
    outs_ptrs = outs_ptr + (b * stride_ob + row * stride_ol + h * stride_oh)[:, None] + offs_d[None, :]
    lses_ptrs = lses_ptr + b * stride_lb + h * stride_lh + row * stride_ll

    m = tl.zeros((BLOCK_R,), tl.float32) - float("inf")
    l = tl.zeros((BLOCK_R,), tl.float32)
    acc = tl.zeros((BLOCK_R, BLOCK_D), tl.float32)
    for i in range(parts):
        lse = tl.load(lses_ptrs + tl.cast(i, tl.int64) * stride_ln, mask=mask_r, other=-float("inf")).to(tl.float32)
        saw = lse > -float("inf")  # (BLOCK_R,): the rest is not even read
        o_ptrs = outs_ptrs + tl.cast(i, tl.int64) * stride_on
        o = tl.load(o_ptrs, mask=saw[:, None] & mask_d[None, :], other=0.0).to(tl.float32)  # (BLOCK_R, BLOCK_D)
        m_new = tl.maximum(m, lse)
        m_safe = tl.where(m_new == -float("inf"), 0.0, m_new)  # -inf - -inf would be NaN
        p = tl.exp(lse - m_safe)
        alpha = tl.exp(m - m_safe)
        l = l * alpha + p
        acc = acc * alpha[:, None] + p[:, None] * o
        m = m_new

    l_safe = tl.where(l == 0.0, 1.0, l)  # nothing seen by any part: 0 / 1, and lse = -inf + 0
    out = (acc / l_safe[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + offs_r[:, None] * D + offs_d[None, :], out, mask=mask_r[:, None] & mask_d[None, :])
    tl.store(lse_ptr + (b * H + h) * L + row, m + tl.log(l_safe), mask=mask_r)


def merge_states(outs: States, lses: States) -> tuple[torch.Tensor, torch.Tensor]:
    """outs n of (B, L, H, D), lses n of (B, H, L), as lists or stacked -> out (B, L, H, D) and lse (B, H, L) float32.

    Each lse is a natural log, as `flash_attention` returns it. outs are float16, bfloat16 or float32, and out has their
    dtype; the sums are float32. A part that saw nothing (lse -inf) has no weight and its out is not read; where all saw
    nothing the result is 0 and -inf. Stacked tensors may have any strides with a contiguous last dimension of outs.
    Raises InvalidType, InvalidValue, or Unsupported for float64 and gradients, which `attention.merge` takes.
    """
    stacked, logs = stack_states(outs, lses)
    _require_kernel_input(stacked, logs)
    n, B, L, H, D = stacked.shape
    out = torch.empty((B, L, H, D), dtype=stacked.dtype, device=stacked.device)
    lse = torch.empty((B, H, L), dtype=torch.float32, device=stacked.device)
    if stacked.stride(-1) != 1:
        stacked = stacked.contiguous()
    block_d = 1 << max(D - 1, 0).bit_length()
    block_r = max(1, TILE // block_d)
    programs = -(-B * L * H // block_r)
    launch(
        merge_states_kernel, (programs,), stacked, logs, out, lse, *stacked.stride()[:4], *logs.stride(),
        n, B * L * H, L, H, D, BLOCK_R=block_r, BLOCK_D=block_d,
        tile_steps=lambda: programs * n, smaller=lambda limit: f"at most {limit // n * block_r:,} rows B * L * H",
        instead=INSTEAD,
    )  # fmt: skip
    return out, lse


def _require_kernel_input(outs: torch.Tensor, lses: torch.Tensor) -> None:
    require_plain(INSTEAD, outs=outs, lses=lses)
    if outs.shape[-1] > WIDEST:
        rule = f"merge_states takes widths D up to {WIDEST:,}"
        raise Unsupported(rule_numbers_remedy(rule, f"{outs.shape[-1]:,}", f"use {INSTEAD}"))
    for name, x, allowed in (("outs", outs, DTYPES), ("lses", lses, (torch.float32,))):
        if x.dtype not in allowed:
            rule = f"merge_states takes {name} of {' or '.join(str(d).removeprefix('torch.') for d in allowed)}"
            raise Unsupported(rule_numbers_remedy(rule, str(x.dtype), f"use {INSTEAD}, which keeps float64"))
        if x.requires_grad and torch.is_grad_enabled():
            rule = "merge_states has no backward pass, so gradients would be lost"
            found = f"{name} with requires_grad=True"
            raise Unsupported(rule_numbers_remedy(rule, found, f"use {INSTEAD}, or torch.no_grad()"))
