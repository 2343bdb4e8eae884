"""Merge the runs that one text's keys were cut into: few rows, many parts, and all of a row's parts at once.

`merge_states` walks a block of rows past the parts, which suits two or three parts of a long prompt. After split decoding
there is one row a head and a dozen parts, and a walk would wait for memory once a part. Here one program owns one row and
asks for all its parts together. The sums are the same.

One row, four lines (parts in chunks of BLOCK_N, of which there is rarely more than one):

    m'    = max(m, max(lse_i))
    p_i   = exp(lse_i - m')                       0 for a run that saw nothing: its lse is -inf
    l     = l * exp(m - m') + sum(p_i)
    acc   = acc * exp(m - m') + sum(p_i * out_i)  at the end: out = acc / l, lse = m + log(l)

Source: Dao et al., "Flash-Decoding" (2023).
"""

import torch

from minillm.kernels.runtime import launch, tl, triton

# Elements of the parts that a program holds, at 4 warps: 64 float32 a thread.
TILE = 8192
INSTEAD = "minillm.attention.naive_decode.naive_decode"


@triton.jit
def merge_splits_kernel(
    outs_ptr, lses_ptr, out_ptr, lse_ptr, parts, num_rows, D, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr
):
    """One program merges one row's parts: outs (parts, rows, D) and lses (parts, rows), both contiguous."""
    row = tl.cast(tl.program_id(0), tl.int64)
    offs_d = tl.arange(0, BLOCK_D)
    mask_d = offs_d < D
    m = tl.full((), -float("inf"), tl.float32)
    l = tl.full((), 0.0, tl.float32)
    acc = tl.zeros((BLOCK_D,), tl.float32)
    for start in range(0, parts, BLOCK_N):
        offs_n = start + tl.arange(0, BLOCK_N)
        rows = tl.cast(offs_n, tl.int64) * num_rows + row
        lse = tl.load(lses_ptr + rows, mask=offs_n < parts, other=-float("inf"))  # (BLOCK_N,)
        saw = lse > -float("inf")  # the rest is not even read
        o_ptrs = outs_ptr + rows[:, None] * D + offs_d[None, :]
        o = tl.load(o_ptrs, mask=saw[:, None] & mask_d[None, :], other=0.0)  # (BLOCK_N, BLOCK_D)
        m_new = tl.maximum(m, tl.max(lse, 0))
        m_safe = tl.where(m_new == -float("inf"), 0.0, m_new)  # -inf - -inf would be NaN
        p = tl.exp(lse - m_safe)
        alpha = tl.exp(m - m_safe)
        l = l * alpha + tl.sum(p, 0)
        acc = acc * alpha + tl.sum(p[:, None] * o, 0)
        m = m_new

    l_safe = tl.where(l == 0.0, 1.0, l)  # nothing seen by any run: 0 / 1, and lse = -inf + 0
    tl.store(out_ptr + row * D + offs_d, (acc / l_safe).to(out_ptr.dtype.element_ty), mask=mask_d)
    tl.store(lse_ptr + row, m + tl.log(l_safe))


def merge_splits(outs: torch.Tensor, lses: torch.Tensor, out: torch.Tensor, lse: torch.Tensor) -> None:
    """outs (n, B, H, D) and lses (n, B, H), float32 and contiguous, into out (B, H, D) of any float dtype and lse (B, H).

    For kernels that have made all four themselves: nothing is checked. Runs that saw nothing (lse -inf) have no weight,
    and their out is not read.
    """
    (parts, B, H), D = lses.shape, outs.shape[-1]
    block_d = 1 << (D - 1).bit_length()
    block_n = min(1 << (parts - 1).bit_length(), max(1, TILE // block_d))
    steps = B * H * -(-parts // block_n)
    launch(
        merge_splits_kernel, (B * H,), outs, lses, out, lse, parts, B * H, D, BLOCK_N=block_n, BLOCK_D=block_d,
        tile_steps=lambda: steps, smaller=lambda limit: f"at most {limit:,} rows B * H", instead=INSTEAD,
    )  # fmt: skip
