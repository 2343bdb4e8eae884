"""A matrix product in three kernels, each one idea better than the last.

`matmul_naive` gives every program one tile of the output, row by row. `matmul_grouped` does the same work in an order that
lets neighbours find their operands in the L2 cache. `matmul_persistent` starts one program a multiprocessor, which takes
tile after tile and lets the memory engine fetch the next operands by descriptor while it multiplies.

One tile, four lines:

    acc  = 0                                        (BLOCK_M, BLOCK_N) in float32
    for k in tiles of K:
        acc += a[m_tile, k] @ b[k, n_tile]          zero where a tile sticks out of its matrix
    out[m_tile, n_tile] = acc                       rounded once

Sources: the block-wise product of Triton's tutorials 03 and 09; tile sizes below.
"""

from typing import Any

import torch

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.kernels.matmul_tiles import Tiles, choose_tiles, multiprocessors
from minillm.kernels.operands import require_operand
from minillm.kernels.runtime import architecture, launch, mode, tl, triton
from minillm.kernels.targets import dot_precision
from minillm.kernels.tile_order import GROUP_M, grouped_tile, row_major_tile
from minillm.measure.kernel_cost import matmul_cost


@triton.jit
def multiply_tile(
    a_ptr, b_ptr, out_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, m_tile, n_tile,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of the output, from its first load to its store; with EVEN_K no tile sticks out along K."""
    offs_m = tl.cast(m_tile * BLOCK_M + tl.arange(0, BLOCK_M), tl.int64)
    offs_n = tl.cast(n_tile * BLOCK_N + tl.arange(0, BLOCK_N), tl.int64)
    offs_k = tl.arange(0, BLOCK_K)
    mask_m, mask_n = offs_m < M, offs_n < N
    stride_ak, stride_bk = tl.cast(stride_ak, tl.int64), tl.cast(stride_bk, tl.int64)
    a_ptrs = a_ptr + offs_m[:, None] * stride_am + offs_k[None, :] * stride_ak
    b_ptrs = b_ptr + offs_k[:, None] * stride_bk + offs_n[None, :] * stride_bn

    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for k in range(0, K, BLOCK_K):
        if EVEN_K:
            mask_a, mask_b = mask_m[:, None], mask_n[None, :]
        else:
            mask_k = offs_k < K - k
            mask_a, mask_b = mask_m[:, None] & mask_k[None, :], mask_k[:, None] & mask_n[None, :]
        a = tl.load(a_ptrs, mask=mask_a, other=0.0)  # (BLOCK_M, BLOCK_K)
        b = tl.load(b_ptrs, mask=mask_b, other=0.0)  # (BLOCK_K, BLOCK_N)
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
        a_ptrs += BLOCK_K * stride_ak
        b_ptrs += BLOCK_K * stride_bk

    out_ptrs = out_ptr + offs_m[:, None] * N + offs_n[None, :]
    tl.store(out_ptrs, acc.to(out_ptr.dtype.element_ty), mask=mask_m[:, None] & mask_n[None, :])


@triton.jit
def matmul_naive(
    a_ptr, b_ptr, out_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program an output tile, row by row."""
    m_tile, n_tile = row_major_tile(tl.program_id(0), tl.cdiv(N, BLOCK_N))
    multiply_tile(
        a_ptr, b_ptr, out_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, m_tile, n_tile,
        BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
    )  # fmt: skip


@triton.jit
def matmul_grouped(
    a_ptr, b_ptr, out_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, GROUP_M: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EVEN_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program an output tile, in groups of GROUP_M rows of tiles."""
    m_tile, n_tile = grouped_tile(tl.program_id(0), tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), GROUP_M)
    multiply_tile(
        a_ptr, b_ptr, out_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, m_tile, n_tile,
        BLOCK_M, BLOCK_N, BLOCK_K, EVEN_K, PRECISION,
    )  # fmt: skip


@triton.jit
def matmul_persistent(
    a_ptr, b_ptr, out_ptr, M, N, K, stride_a, stride_b, A_ROWS: tl.constexpr, B_ROWS: tl.constexpr,
    GROUP_M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program a multiprocessor, tile after tile. Descriptors know the matrix's edge, so nothing here needs a mask.

    A_ROWS and B_ROWS say whether a and b lie row by row; otherwise column by column, and tiles are turned after loading.
    """
    if A_ROWS:
        a_tiles = tl.make_tensor_descriptor(a_ptr, [M, K], [stride_a, 1], [BLOCK_M, BLOCK_K])
    else:
        a_tiles = tl.make_tensor_descriptor(a_ptr, [K, M], [stride_a, 1], [BLOCK_K, BLOCK_M])
    if B_ROWS:
        b_tiles = tl.make_tensor_descriptor(b_ptr, [K, N], [stride_b, 1], [BLOCK_K, BLOCK_N])
    else:
        b_tiles = tl.make_tensor_descriptor(b_ptr, [N, K], [stride_b, 1], [BLOCK_N, BLOCK_K])
    out_tiles = tl.make_tensor_descriptor(out_ptr, [M, N], [N, 1], [BLOCK_M, BLOCK_N])

    tiles_m, tiles_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tiles_m * tiles_n, tl.num_programs(0), flatten=True):
        m_tile, n_tile = grouped_tile(tile, tiles_m, tiles_n, GROUP_M)
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for k in range(0, K, BLOCK_K):
            a = a_tiles.load([m_tile * BLOCK_M, k]) if A_ROWS else a_tiles.load([k, m_tile * BLOCK_M]).T
            b = b_tiles.load([k, n_tile * BLOCK_N]) if B_ROWS else b_tiles.load([n_tile * BLOCK_N, k]).T
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
        out_tiles.store([m_tile * BLOCK_M, n_tile * BLOCK_N], acc.to(out_ptr.dtype.element_ty))


RUNGS = ("naive", "grouped", "persistent")


def matmul(a: torch.Tensor, b: torch.Tensor, *, rung: str | None = None) -> torch.Tensor:
    """a (M, K), b (K, N) -> (M, N) in their dtype: float16, bfloat16 or float32, summed in float32 and rounded once.

    Any strides: a transposed view is read where it lies. float32 is multiplied in three passes of TF32 on NVIDIA.
    `rung` is "naive", "grouped" or "persistent"; by default persistent on sm_90 and later where descriptors can reach
    the operands (`descriptor_stride`), else grouped. K = 0 gives zeros. Raises InvalidType, InvalidValue, or Unsupported
    for what needs gradients or where Triton is absent: `torch.matmul` takes those, float64 and batches.
    """
    _validate(a, b, rung)
    target = architecture()
    out = torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)
    if 0 in (*out.shape, a.shape[1]):
        return out.zero_()
    if rung is None:
        rung = "persistent" if _has_descriptors(target) and None not in _strides(a, b, out) else "grouped"
    if rung == "persistent":
        _launch_persistent(a, b, out, target)
    else:
        _launch_tiles(a, b, out, target, rung)
    return out


def _launch_tiles(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, target: str, rung: str) -> None:
    (M, K), N = a.shape, b.shape[1]
    tiles = choose_tiles(target, M, N, a.element_size())
    kernel, order = (matmul_naive, {}) if rung == "naive" else (matmul_grouped, {"GROUP_M": GROUP_M})
    launch(
        kernel, (-(-M // tiles.block_m) * -(-N // tiles.block_n),),
        a, b, out, M, N, K, *a.stride(), *b.stride(),
        **order, **_blocks(tiles), EVEN_K=K % tiles.block_k == 0, PRECISION=dot_precision(target, a.dtype),
        num_warps=tiles.num_warps, num_stages=tiles.num_stages, **_price(M, N, K, tiles),
    )  # fmt: skip


def _launch_persistent(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, target: str) -> None:
    (M, K), N = a.shape, b.shape[1]
    strides = _strides(a, b, out)
    if None in strides:
        rule = "rung='persistent' needs operands and output with one contiguous dimension and 16-byte aligned rows"
        numbers = f"strides {a.stride()}, {b.stride()} and {out.stride()} of {a.element_size()} bytes"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, "use rung='grouped', or pad K and N to a multiple of 8"))
    tiles = choose_tiles(target, M, N, a.element_size())
    programs = min(-(-M // tiles.block_m) * -(-N // tiles.block_n), multiprocessors(target, a.device))
    if mode().name == "gpu" and a.is_cuda:
        # Descriptors live in memory that the kernel asks for as it starts. The allocator outlives this call; `a` must not.
        device = a.device
        triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device=device))
    launch(
        matmul_persistent, (programs,), a, b, out, M, N, K, *strides[:2],
        A_ROWS=a.stride(1) == 1, B_ROWS=b.stride(1) == 1, GROUP_M=GROUP_M,
        **_blocks(tiles), PRECISION=dot_precision(target, a.dtype),
        num_warps=tiles.num_warps, num_stages=tiles.num_stages, **_price(M, N, K, tiles),
    )  # fmt: skip


def descriptor_stride(x: torch.Tensor) -> int | None:
    """The stride between the rows of x (M, N), or of its transpose, if a tensor descriptor can follow it, else None.

    The hardware wants one contiguous dimension, and the base and the other stride at multiples of 16 bytes.
    """
    if 1 not in x.stride():
        return None
    stride = x.stride(0) if x.stride(1) == 1 else x.stride(1)
    aligned = stride * x.element_size() % 16 == 0 and x.data_ptr() % 16 == 0
    return stride if aligned and stride > 0 else None


def _strides(*tensors: torch.Tensor) -> list[int | None]:
    return [descriptor_stride(x) for x in tensors]


def _has_descriptors(target: str) -> bool:
    return target.startswith("sm_") and int(target.removeprefix("sm_").rstrip("af")) >= 90


def _blocks(tiles: Tiles) -> dict[str, int]:
    return {"BLOCK_M": tiles.block_m, "BLOCK_N": tiles.block_n, "BLOCK_K": tiles.block_k}


def _price(M: int, N: int, K: int, tiles: Tiles) -> dict[str, Any]:
    """What interpreting costs, in steps, and words for a shape that costs less: what `launch` wants to know."""

    def steps(m: int, n: int, k: int) -> int:
        return matmul_cost(m, n, k, block_m=tiles.block_m, block_n=tiles.block_n, block_k=tiles.block_k).tile_steps

    def smaller(limit: int) -> str:
        m, n, k = M, N, K
        while steps(m, n, k) > limit:
            m, n, k = (size // 2 if size == max(m, n, k) else size for size in (m, n, k))
        return f"M, N, K = {m:,}, {n:,}, {k:,}"

    return {"tile_steps": lambda: steps(M, N, K), "smaller": smaller, "instead": "torch.matmul"}


def _validate(a: torch.Tensor, b: torch.Tensor, rung: str | None) -> None:
    for name, x in (("a", a), ("b", b)):
        require_operand(name, x, "torch.matmul")
        if x.dim() != 2:
            remedy = "use torch.matmul for batches, or flatten the leading dimensions"
            raise InvalidValue(rule_numbers_remedy(f"{name} must have two dimensions", str(tuple(x.shape)), remedy))
    if a.dtype != b.dtype:
        remedy = "convert one with .to(other.dtype)"
        raise InvalidType(rule_numbers_remedy("a and b must share one dtype", f"{a.dtype} and {b.dtype}", remedy))
    if a.device != b.device:
        remedy = "move one with .to(other.device)"
        raise InvalidValue(rule_numbers_remedy("a and b must be on one device", f"{a.device} and {b.device}", remedy))
    if a.shape[1] != b.shape[0]:
        numbers = f"{tuple(a.shape)} and {tuple(b.shape)}"
        remedy = "transpose one with .T if it lies the other way" if a.shape[1] in b.shape else "cut or pad one of them"
        raise InvalidValue(rule_numbers_remedy("a (M, K) and b (K, N) must share K", numbers, remedy))
    if rung is not None and rung not in RUNGS:
        raise unknown_name("rung", rung, RUNGS)
