"""What softmax and matmul kernels move and multiply: pencil arithmetic on plain integers.

Both walk over their operands in tiles. A tile that sticks out of the matrix reads and writes only what exists, but
multiplies its full size; what a tile's neighbours have read is read again, from the L2 cache if it is still there.
"""

from __future__ import annotations

from dataclasses import dataclass

from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive, require_whole


def softmax_bytes(rows: int, width: int, *, online: bool = False, dtype_bytes: int = 2) -> Bytes:
    """Rows and their width -> bytes: each element written once and read once, or twice in the online form.

    The online form cannot keep a row on chip, so it reads it once for the maximum and the sum and once more to divide.
    """
    require_whole(at_least=0, rows=rows, width=width)
    require_positive(dtype_bytes=dtype_bytes)
    row_bytes = rows * width * dtype_bytes
    return Bytes(row_bytes * (2 if online else 1), row_bytes)


@dataclass(frozen=True)
class MatmulCost:
    """What a tiled product moves and multiplies: FLOPs `issued` (tiles are full) and `useful` (2·M·N·K), loop steps."""

    bytes: Bytes
    issued: int
    useful: int
    tile_steps: int


def matmul_cost(
    M: int, N: int, K: int, *, block_m: int, block_n: int, block_k: int, dtype_bytes: int = 2
) -> MatmulCost:
    """a (M, K), b (K, N) and the tile sizes -> cost of the product, exact to the byte, in whatever order tiles are taken.

    Each output tile reads its rows of a and its columns of b whole, so a is read once for every column of tiles and b
    once for every row of them: larger tiles read less. The output is written once.
    """
    require_whole(at_least=0, M=M, N=N, K=K)
    require_whole(block_m=block_m, block_n=block_n, block_k=block_k)
    require_positive(dtype_bytes=dtype_bytes)
    tiles_m, tiles_n = -(-M // block_m), -(-N // block_n)
    steps = tiles_m * tiles_n * -(-K // block_k)
    loaded = (tiles_n * M * K + tiles_m * K * N) * dtype_bytes
    return MatmulCost(Bytes(loaded, M * N * dtype_bytes), 2 * steps * block_m * block_n * block_k, 2 * M * N * K, steps)
