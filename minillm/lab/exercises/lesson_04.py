"""Exercises of lesson 04: five small kernels on awkward data, and a clinic: inputs that show a kernel's faults, and the cure.

Each answer is the function that launches the learner's kernel. Inputs and output stand between walls, so a wrong offset
shows as a number and not as a crash.
"""

from __future__ import annotations

import math

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given
from minillm.lab.checks.exercise import Exercise
from minillm.lab.exercises.failing_inputs import FAILING_INPUTS
from minillm.lab.exercises.kernel_cases import KernelCase, launch_of
from minillm.lab.exercises.kernel_rows import CLINIC, ROW_SUM, SOFTMAX

ANY = math.inf


def _scale(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x * factor


def _vector(N: int, dtype: torch.dtype = torch.float32, factor: float = 3.0) -> Given:
    x = inputs.normal(f"vector of {N}", N, dtype=dtype)
    return launch_of(x, factor, out=x)


def _scale_case(name: str, meaning: str, N: int, dtype: torch.dtype = torch.float32, **more: object) -> KernelCase:
    return KernelCase(name, lambda: _vector(N, dtype), _scale, meaning, **more)  # type: ignore[arg-type]


SCALE = Exercise(
    id="04.scale",
    title="Scale a vector of any length",
    statement="Write out = x · factor for a contiguous vector of any length: a tile a program, and a mask for the last tile.",
    signature="scale(x, factor, out)",
    interpreted=True,
    layers={
        "contract": (
            _scale_case("returns out", "Launch a kernel that fills out, and return out.", 16, kind_only=True),
        ),
        "values": (
            _scale_case("one element", "A single element still needs a program, and a mask for all lanes but one.", 1),
            _scale_case("1,000 elements", "The last tile sticks out: its lanes past the end must be masked off.", 1000),
            _scale_case("a power of two", "4,096 elements fill their tiles: every program must take part.", 4096),
            _scale_case("float16", "The result is rounded to out's dtype.", 777, torch.float16),
            _scale_case("bfloat16", "The result is rounded to out's dtype.", 333, torch.bfloat16),
        ),
        "resources": (
            _scale_case(
                "each element once",
                "Loads and stores must touch the vector's own bytes, each once: a load without a mask reads past the end.",
                1001,
                limits={"bytes_loaded": (4004, 4004), "bytes_stored": (4004, 4004)},
            ),
            _scale_case(
                "tiles, not elements",
                "Too many programs for so few elements: let each program own a tile of 64 elements at least.",
                1500,
                limits={"programs": (1, 24)},
            ),
        ),
    },
    hints=(
        "A program owns BLOCK neighbouring elements. Its id says which: the first BLOCK, the next BLOCK, and so on.",
        "The offsets are program · BLOCK + arange(0, BLOCK); the number of programs is N / BLOCK, rounded up. A lane works "
        "if its offset is below N, in the load and in the store alike.",
        "in the kernel: offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)\nmask = offs < N\n"
        "x = tl.load(x_ptr + offs, mask=mask)\ntl.store(out_ptr + offs, x * factor, mask=mask)\n"
        "outside: kernel[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), factor, BLOCK=256); return out",
    ),
    solution="notebooks/solutions/lesson_04.py: scale",
)


def _gather(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    named = (index >= 0) & (index < len(table))
    return torch.where(named[:, None], table[index.long().clamp(0, len(table) - 1)], 0.0)


def _rows(
    R: int, D: int, index: list[int], *, row_stride: int | None = None, dtype: torch.dtype = torch.int32
) -> Given:
    stride = row_stride or D
    table = inputs.normal(f"table {R} {D}", R, stride)[:, :D]
    return launch_of(table, torch.tensor(index, dtype=dtype), out=torch.empty(len(index), D))


def _gather_case(name: str, meaning: str, R: int, D: int, index: list[int], limits=None, **more) -> KernelCase:  # type: ignore[no-untyped-def]
    judged = {name: more.pop(name, False) for name in ("wide_offsets", "kind_only")}
    place = lambda where: f"row {where[0]} of out, column {where[1]}"  # noqa: E731
    return KernelCase(name, lambda: _rows(R, D, index, **more), _gather, meaning, limits or {}, where=place, **judged)


NO_ROW = 2**31 - 1

GATHER = Exercise(
    id="04.gather",
    title="Gather rows by number",
    statement=(
        "out[i] = table[index[i]] for a table (R, D) whose rows may lie any stride apart, as an embedding does it. A number "
        "that names no row, negative or not below R, gives a row of zeros. Offsets into a table need 64 bits."
    ),
    signature="gather_rows(table, index, out)",
    interpreted=True,
    layers={
        "contract": (_gather_case("returns out", "Launch a kernel that fills out, and return out.", 4, 16, [2, 0], kind_only=True),),
        "values": (
            _gather_case("any order", "index[i] says which row: rows may repeat and come in any order.", 9, 32, [8, 0, 3, 3, 7]),
            _gather_case("48 columns", "48 is no power of two: mask the columns as well.", 7, 48, [6, 1, 1]),
            _gather_case("rows with gaps", "The next row starts table.stride(0) further on, not D.", 6, 20, [5, 2, 0], row_stride=29),
            _gather_case("int64 numbers", "index may hold int64.", 6, 16, [5, 2, 4], dtype=torch.int64),
            _gather_case("numbers of no row", "A number below 0 or not below R names no row: zeros, and nothing may be read.", 5, 24, [4, -1, 5, 0, -9, 77]),
            _gather_case("64-bit offsets", "index · stride was computed in 32 bits, which a large table overflows: cast the row's number first.", 5, 24, [4, NO_ROW, 1], wide_offsets=True),
        ),
        "resources": (
            _gather_case("reads the rows it needs", "Each named row is read once, and no other: the numbers themselves once a row of out.", 50, 40, [49, 3, -1, 3], {"bytes_loaded": (3 * 160 + 16, 4 * 160), "bytes_stored": (640, 640)}),
        ),
    },
    hints=(
        "A program owns one row of out. It loads one number, and that number is part of the next load's address.",
        "The source starts at index[i] · table.stride(0), the target at i · out.stride(0). The mask of the load is (column < D) "
        "and (0 <= number < R); the mask of the store is column < D alone.",
        "row = tl.load(index_ptr + tl.program_id(0))\nrow = tl.cast(row, tl.int64), before it is multiplied\n"
        "named = (row >= 0) & (row < R)\n"
        "load table_ptr + row * stride + offs, mask=(offs < D) & named, other=0.0, and store it",
    ),
    solution="notebooks/solutions/lesson_04.py: gather_rows",
)  # fmt: skip


def _matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b


def _pair(M: int, K: int, N: int, *, turned: bool = False, dtype: torch.dtype = torch.float32) -> Given:
    a = inputs.normal(f"a {M} {K}", M, K, dtype=dtype)
    b = inputs.normal(f"b {N} {K}", N, K, dtype=dtype).T if turned else inputs.normal(f"b {K} {N}", K, N, dtype=dtype)
    return launch_of(a, b, out=torch.empty(M, N, dtype=dtype))


def _matmul_case(
    name: str, meaning: str, shape: tuple[int, int, int], limits=None, kind_only=False, **more
) -> KernelCase:  # type: ignore[no-untyped-def]
    return KernelCase(name, lambda: _pair(*shape, **more), _matmul, meaning, limits or {}, kind_only=kind_only)


MATMUL = Exercise(
    id="04.matmul_tile",
    title="A matrix product, tile by tile",
    statement=(
        "out = a @ b for a (M, K) and b (K, N) of any sizes and strides, summed in float32. A program owns a tile of out and "
        "walks along K with tl.dot."
    ),
    signature="matmul_tiles(a, b, out)",
    interpreted=True,
    layers={
        "contract": (_matmul_case("returns out", "Launch a kernel that fills out, and return out.", (16, 16, 16), kind_only=True),),
        "values": (
            _matmul_case("one tile", "One step along K must already be right.", (32, 32, 32)),
            _matmul_case("many steps along K", "The sum goes on over all of K: move both tiles on, and keep adding.", (32, 160, 32)),
            _matmul_case("a tail along K", "K = 50 ends inside a tile: what lies past it must count as 0, in a and in b.", (32, 50, 32)),
            _matmul_case("odd sizes", "No size is a multiple of the tile: mask the rows of a, the columns of b, and the store.", (33, 17, 45)),
            _matmul_case("b transposed", "b's neighbours along n lie b.stride(1) apart: use both strides.", (24, 40, 48), turned=True),
            _matmul_case("one row", "M = 1 is a tile with one row that works.", (1, 64, 40)),
            _matmul_case("float16", "Sum in float32 and round once, when storing.", (32, 300, 32), dtype=torch.float16),
        ),
        "resources": (
            _matmul_case("tensor cores", "Multiply tiles with tl.dot: it is the one way to the tensor cores.", (64, 64, 64), {"flops": (2 * 64**3, ANY)}),
            _matmul_case("tiles of 16 or more", "Small tiles read a and b too often: with 16 by 16 tiles each is read 4 times here.", (64, 64, 64), {"bytes_loaded": (0, 2 * 4 * 64 * 64 * 4), "bytes_stored": (64 * 64 * 4, 64 * 64 * 4)}),
        ),
    },
    hints=(
        "The tile of out at (m_tile, n_tile) needs the rows m_tile of a and the columns n_tile of b, all of K. Take K in steps.",
        "After each step acc holds the sum over all k so far. A lane past the end of K must hold 0 in both tiles: 0 · NaN is NaN.",
        "offs_m, offs_n as usual; acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)\nfor k in range(0, K, BLOCK_K):\n"
        "    offs_k = k + tl.arange(0, BLOCK_K)\n"
        "    a = tl.load(a_ptr + offs_m[:, None] * stride_am + offs_k[None, :] * stride_ak, mask=…, other=0.0)\n"
        "    b likewise, (BLOCK_K, BLOCK_N); acc = tl.dot(a, b, acc)\n"
        'for float32 say input_precision="ieee", or the GPU rounds the operands to TF32',
    ),
    solution="kernels/matmul.py: multiply_tile, and notebooks/solutions/lesson_04.py: matmul_tiles",
)  # fmt: skip

EXERCISES = (SCALE, ROW_SUM, SOFTMAX, GATHER, MATMUL, FAILING_INPUTS, CLINIC)
