"""Softmax over the last dimension, in two kernels: one that holds a row on chip, and one for rows too wide to hold.

The row-resident kernel reads a row once, works on it in registers and writes it once, which is as little traffic as there
can be. The online kernel walks over the row in tiles with a running maximum and sum, then walks over it again to divide:
one read more, but any width. A row of nothing but -inf sees nothing and gives 0, where torch gives NaN.

One row, four lines, whole on the left and tile by tile on the right (exp is one exp2 of a multiple):

    m   = max(x)              m'  = max(m, max(tile))
    p   = exp(x - m)          p   = exp(tile - m')
    l   = sum(p)              l   = l * exp(m - m') + sum(p)
    out = p / l               out = exp(tile - m) / l           in a second pass, when m and l are known

Source: Milakov and Gimelshein 2018 (online softmax).
"""

from dataclasses import dataclass

import torch

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.kernels.operands import require_operand
from minillm.kernels.runtime import architecture, launch, tl, triton

# The widest row that is held on chip: 32 float32 a thread at 16 warps. Wider ones spill.
MAX_RESIDENT = 16_384


@triton.jit
def exp(x):
    """exp as the hardware has it: 2 to the power of x · log2(e)."""
    return tl.exp2(x * 1.4426950408889634)


@triton.jit
def finite_or_zero(m):
    """A maximum that is safe to subtract: a row that has seen nothing has m = -inf, and -inf - -inf is NaN."""
    return tl.where(m == -float("inf"), 0.0, m)


@triton.jit
def row_offsets(rows, middle, inner, stride_outer, stride_middle, stride_inner, FLAT: tl.constexpr):
    """int64 rows -> where each starts, in elements: one stride apart (FLAT), or on a grid (outer, middle, inner)."""
    if FLAT:
        return rows * stride_inner
    else:
        rows_of_outer = tl.cast(middle, tl.int64) * inner
        outer, rest = rows // rows_of_outer, rows % rows_of_outer
        return outer * stride_outer + rest // inner * stride_middle + rest % inner * stride_inner


@triton.jit
def softmax_resident(
    x_ptr, out_ptr, num_rows, N, middle, inner, stride_outer, stride_middle, stride_inner,
    FLAT: tl.constexpr, ROWS: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One program holds ROWS whole rows: read once, written once."""
    rows = tl.cast(tl.program_id(0), tl.int64) * ROWS + tl.arange(0, ROWS)
    offs_n = tl.arange(0, BLOCK_N)
    mask = (rows < num_rows)[:, None] & (offs_n < N)[None, :]
    x_rows = row_offsets(rows, middle, inner, stride_outer, stride_middle, stride_inner, FLAT)
    out_rows = rows * N

    x = tl.load(x_ptr + x_rows[:, None] + offs_n[None, :], mask=mask, other=-float("inf")).to(tl.float32)
    m = finite_or_zero(tl.max(x, 1))  # (ROWS,)
    p = exp(x - m[:, None])  # (ROWS, BLOCK_N)
    l = tl.sum(p, 1)
    out = p / tl.where(l == 0.0, 1.0, l)[:, None]
    tl.store(out_ptr + out_rows[:, None] + offs_n[None, :], out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def softmax_online(
    x_ptr, out_ptr, N, middle, inner, stride_outer, stride_middle, stride_inner,
    FLAT: tl.constexpr, BLOCK_N: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """One program walks over one row twice: first for its maximum and sum, then to divide. Nothing of the row is kept."""
    row = tl.cast(tl.program_id(0), tl.int64)
    tile_n = tl.arange(0, BLOCK_N)
    x_row = x_ptr + row_offsets(row, middle, inner, stride_outer, stride_middle, stride_inner, FLAT)
    out_row = out_ptr + row * N

    m = tl.full((), -float("inf"), tl.float32)
    l = tl.full((), 0.0, tl.float32)
    for start in tl.range(0, N, BLOCK_N, num_stages=STAGES):
        offs_n = start + tile_n
        x = tl.load(x_row + offs_n, mask=offs_n < N, other=-float("inf")).to(tl.float32)  # (BLOCK_N,)
        m_new = tl.maximum(m, tl.max(x, 0))
        m_safe = finite_or_zero(m_new)
        l = l * exp(m - m_safe) + tl.sum(exp(x - m_safe), 0)
        m = m_new

    m = finite_or_zero(m)
    l = tl.where(l == 0.0, 1.0, l)
    for start in tl.range(0, N, BLOCK_N, num_stages=STAGES):
        offs_n = start + tile_n
        x = tl.load(x_row + offs_n, mask=offs_n < N, other=-float("inf")).to(tl.float32)
        out = exp(x - m) / l
        tl.store(out_row + offs_n, out.to(out_ptr.dtype.element_ty), mask=offs_n < N)


@dataclass(frozen=True)
class Config:
    """How many rows a program of the resident kernel takes, how many elements a tile has, and how many warps share them."""

    rows: int
    block_n: int
    num_warps: int


@dataclass(frozen=True)
class RowAxes:
    """How rows lie in memory, as the kernels take it: sizes of the two inner leading axes, strides of all three."""

    arguments: tuple[int, int, int, int, int]
    flat: bool


def softmax(x: torch.Tensor, *, block: int | None = None) -> torch.Tensor:
    """x (..., N) -> (..., N): exp(x) / sum(exp(x)) over the last dimension, in float32 inside, rounded once to x's dtype.

    float16, bfloat16 and float32. Rows up to 16,384 wide are held on chip; wider ones, or any with `block` (a power of
    two: the tile size), go through the online kernel. A row of -inf gives 0; one with NaN or +inf gives NaN, as in torch.
    Leading dimensions may have any strides that come down to three; others, and a last dimension that is not contiguous,
    are copied first. The output is contiguous. Raises InvalidType, InvalidValue, or Unsupported for what needs gradients
    or where Triton is absent: `torch.softmax` takes those, and float64.
    """
    require_operand("x", x, "torch.softmax")
    if x.dim() == 0:
        raise InvalidValue(rule_numbers_remedy("x must have a last dimension", "a scalar", "use x[None]"))
    if block is not None:
        _require_tile(block)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel() == 0:
        return out
    x, axes = _readable(x)
    if block is None and x.shape[-1] <= MAX_RESIDENT:
        _launch_resident(x, out, axes)
    else:
        _launch_online(x, out, axes, online_config(block))
    return out


def _launch_resident(x: torch.Tensor, out: torch.Tensor, axes: RowAxes) -> None:
    N = x.shape[-1]
    num_rows = x.numel() // N
    config = resident_config(num_rows, N)
    programs = -(-num_rows // config.rows)
    launch(
        softmax_resident, (programs,), x, out, num_rows, N, *axes.arguments,
        FLAT=axes.flat, ROWS=config.rows, BLOCK_N=config.block_n, num_warps=config.num_warps,
        instead="torch.softmax", tile_steps=lambda: programs, smaller=lambda limit: f"at most {limit * config.rows:,} rows",
    )  # fmt: skip


def _launch_online(x: torch.Tensor, out: torch.Tensor, axes: RowAxes, config: Config) -> None:
    N = x.shape[-1]
    num_rows, steps = x.numel() // N, 2 * -(-N // config.block_n)

    def smaller(limit: int) -> str:
        return f"at most {max(1, limit // steps):,} rows of {min(N, limit // 2 * config.block_n):,}"

    launch(
        softmax_online, (num_rows,), x, out, N, *axes.arguments,
        FLAT=axes.flat, BLOCK_N=config.block_n, STAGES=2, num_warps=config.num_warps,
        instead="torch.softmax", tile_steps=lambda: num_rows * steps, smaller=smaller,
    )  # fmt: skip


def resident_config(num_rows: int, N: int) -> Config:
    """Rows and width -> as many rows a program as make a tile worth four warps, and 8 to 32 elements a thread above that.

    Warps by width as in Liger-Kernel's table; an interpreted program costs the same for 1 row and 64, so it takes more.
    """
    block_n = _power_of_two(N)
    elements = 16_384 if architecture() == "interpreter" else 2048
    rows = max(1, min(elements // block_n, _power_of_two(num_rows)))
    return Config(rows, block_n, 4 if block_n <= 2048 else 8 if block_n <= 4096 else 16)


def online_config(block: int | None) -> Config:
    """The tile of the online kernel, or the default: 8,192 elements shared by 16 warps, 16 a thread."""
    block_n = 8192 if block is None else block
    return Config(1, block_n, 4 if block_n <= 2048 else 8 if block_n <= 4096 else 16)


def _readable(x: torch.Tensor) -> tuple[torch.Tensor, RowAxes]:
    """x, or a contiguous copy where its strides cannot be followed, and how its rows lie."""
    axes = _merged_axes(x)
    if len(axes) > 3 or (x.shape[-1] > 1 and x.stride(-1) != 1):
        x = x.contiguous()
        axes = _merged_axes(x)
    (_, outer), (middle, middle_stride), (inner, inner_stride) = [(1, 0)] * (3 - len(axes)) + axes
    return x, RowAxes((middle, inner, outer, middle_stride, inner_stride), flat=len(axes) <= 1)


def _merged_axes(x: torch.Tensor) -> list[tuple[int, int]]:
    """(size, stride) of the leading axes, where neighbours that lie as one axis in memory are one."""
    axes: list[tuple[int, int]] = []
    for size, stride in zip(x.shape[:-1], x.stride()[:-1], strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * stride:
            axes[-1] = (axes[-1][0] * size, stride)
        else:
            axes.append((size, stride))
    return axes


def _power_of_two(n: int) -> int:
    """The smallest power of two that holds n."""
    return 1 << (n - 1).bit_length()


def _require_tile(block: object) -> None:
    remedy = "pass a power of two from 1 to 16,384, or None to let the width decide"
    if isinstance(block, bool) or not isinstance(block, int):
        raise InvalidType(rule_numbers_remedy("block must be a whole number of elements", repr(block), remedy))
    if not 1 <= block <= MAX_RESIDENT or block & (block - 1):
        raise InvalidValue(rule_numbers_remedy("block must be a power of two", str(block), remedy))
