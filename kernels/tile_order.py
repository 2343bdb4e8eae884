"""Which output tile of a matrix product does each program take, and what does the order spare the memory?

Programs start in the order of their numbers, a wave of them at a time. Row by row, one wave needs a few rows of the left
operand and every column of the right one; taken in groups of a few rows, the wave covers a block that is closer to square
and needs far fewer different panels of both. The kernels and the lesson's picture use the functions below, the same lines.
"""

from dataclasses import dataclass
from typing import NamedTuple

from minillm.errors import unknown_name
from minillm.kernels.runtime import tl, triton
from minillm.measure.numbers import require_positive, require_whole

# Rows of tiles in a group. A wave of 132 programs then covers 8 x 16.5 tiles: 24.5 panels; row by row it can need 132.
GROUP_M = 8


@triton.jit
def row_major_tile(program, tiles_n):
    """program -> (row, column) of its output tile: along a row of tiles, then the next row."""
    return program // tiles_n, program % tiles_n


@triton.jit
def grouped_tile(program, tiles_m, tiles_n, GROUP_M: tl.constexpr):
    """program -> (row, column) of its output tile: down GROUP_M rows, then one column right, then the next group."""
    group = program // (GROUP_M * tiles_n)
    place = program % (GROUP_M * tiles_n)
    first = group * GROUP_M
    height = min(tiles_m - first, GROUP_M)  # the last group may be lower
    return first + place % height, place // height


class Turn(NamedTuple):
    """One output tile: the program that computes it, and its row and column among the tiles."""

    program: int
    row: int
    column: int


def tile_order(
    rung: str, M: int, N: int, *, block_m: int, block_n: int, group_m: int = GROUP_M, programs: int | None = None
) -> list[Turn]:
    """Rung, output (M, N) and the tile sizes -> each output tile, in the order in which they are started.

    `rung` is "naive", "grouped" or "persistent"; the last takes the grouped order, dealt out to `programs` programs in
    turn. Raises InvalidValue for other rungs and sizes.
    """
    tiles_m, tiles_n = _tiles(rung, M, N, block_m, block_n, group_m)
    count = tiles_m * tiles_n
    if rung == "naive":
        return [Turn(t, *_plain(row_major_tile)(t, tiles_n)) for t in range(count)]
    workers = count if rung == "grouped" or programs is None else programs
    return [Turn(t % max(1, workers), *_plain(grouped_tile)(t, tiles_m, tiles_n, group_m)) for t in range(count)]


@dataclass(frozen=True)
class L2Loads:
    """Bytes of operands that tiles ask for, and the part of them that has to come from memory rather than the L2 cache."""

    requested: int
    missed: int


def l2_loads(
    rung: str,
    M: int,
    N: int,
    K: int,
    *,
    block_m: int,
    block_n: int,
    group_m: int = GROUP_M,
    wave: int = 132,
    dtype_bytes: int = 2,
) -> L2Loads:
    """a (M, K), b (K, N) -> bytes requested and missed, for an L2 cache that serves one wave of programs and then forgets.

    In a wave, tiles of one row share their panel of a (block_m by K) and tiles of one column their panel of b. A model,
    and a pessimistic one: real waves overlap, and a large cache remembers the last.
    """
    require_whole(at_least=0, K=K)
    require_whole(wave=wave)
    require_positive(dtype_bytes=dtype_bytes)
    order = tile_order(rung, M, N, block_m=block_m, block_n=block_n, group_m=group_m)

    def panels(rows: list[int], columns: list[int]) -> int:
        height = sum(min(block_m, M - row * block_m) for row in rows)
        width = sum(min(block_n, N - column * block_n) for column in columns)
        return (height + width) * K * dtype_bytes

    waves = [order[start : start + wave] for start in range(0, len(order), wave)]
    missed = sum(panels(list({t.row for t in w}), list({t.column for t in w})) for w in waves)
    return L2Loads(panels([t.row for t in order], [t.column for t in order]), missed)


def _tiles(rung: str, M: int, N: int, block_m: int, block_n: int, group_m: int) -> tuple[int, int]:
    if rung not in ("naive", "grouped", "persistent"):
        raise unknown_name("rung", rung, ("naive", "grouped", "persistent"))
    require_whole(at_least=0, M=M, N=N)
    require_whole(block_m=block_m, block_n=block_n, group_m=group_m)
    return -(-M // block_m), -(-N // block_n)


def _plain(function):
    """The Python function behind a kernel's helper: the same lines, on plain integers."""
    return getattr(function, "fn", function)
