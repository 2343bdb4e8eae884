"""How the backward of attention cuts its work on each GPU: a table like `attention_tiles`, with two kernels an entry.

Both kernels keep more on chip than the forward does (two score tables at a time, and two accumulators for keys and
values), so their tiles are smaller and registers run out first.
"""

from dataclasses import dataclass

from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.targets import relative
from minillm.measure.tiles import padded_width


@dataclass(frozen=True)
class BackwardTiles:
    """`keys` is for the kernel that owns a tile of keys (dK and dV), `queries` for the one that owns queries (dQ)."""

    keys: Tiles
    queries: Tiles


def _pair(keys: tuple[int, ...], queries: tuple[int, ...]) -> BackwardTiles:
    return BackwardTiles(Tiles(*keys), Tiles(*queries))


# By architecture and bytes per element: (widest padded D, tiles of the two kernels as (block_l, block_s, warps, stages)),
# narrowest first. The largest tiles that the compiler keeps in registers and shared memory, as Triton 3.7 compiles them;
# a few bytes spilled outside the loops (up to D = 128 in half precision; tests pin how many) were preferred to half the
# tile. A softcap's slope takes registers that the table does not reckon with. Nothing has been timed yet.
TILES: dict[tuple[str, int], tuple[tuple[int, BackwardTiles], ...]] = {
    ("sm_80", 2): (
        (64, _pair((32, 128, 8, 2), (128, 64, 8, 2))),
        (128, _pair((64, 64, 8, 2), (128, 32, 8, 2))),
        (256, _pair((32, 64, 8, 2), (64, 32, 8, 2))),
    ),
    ("sm_90", 2): (
        (64, _pair((64, 128, 8, 3), (128, 64, 8, 3))),
        (128, _pair((64, 128, 8, 2), (128, 64, 8, 3))),
        (256, _pair((32, 64, 8, 2), (128, 32, 8, 2))),
    ),
    ("sm_100", 2): (
        (64, _pair((64, 128, 8, 2), (128, 64, 8, 2))),
        (128, _pair((64, 128, 8, 2), (128, 64, 8, 2))),
        (256, _pair((32, 64, 8, 2), (128, 32, 8, 2))),
    ),
    ("sm_120", 2): (
        (64, _pair((32, 128, 8, 2), (128, 64, 8, 2))),
        (128, _pair((64, 64, 8, 2), (128, 32, 8, 2))),
        (256, _pair((32, 32, 8, 1), (64, 32, 8, 1))),
    ),
    ("gfx942", 2): (
        (64, _pair((64, 64, 4, 1), (128, 64, 4, 1))),
        (128, _pair((32, 128, 4, 1), (128, 64, 4, 1))),
        (256, _pair((32, 32, 4, 1), (64, 32, 4, 1))),
    ),
    ("sm_80", 4): (
        (64, _pair((32, 32, 4, 1), (32, 32, 4, 1))),
        (128, _pair((16, 32, 8, 1), (32, 32, 8, 1))),
        (256, _pair((16, 16, 8, 1), (16, 16, 8, 1))),
    ),
    ("sm_90", 4): (
        (64, _pair((32, 64, 8, 2), (64, 32, 4, 2))),
        (128, _pair((32, 32, 8, 2), (32, 32, 8, 1))),
        (256, _pair((16, 16, 8, 1), (16, 16, 8, 1))),
    ),
    ("sm_100", 4): (
        (64, _pair((32, 64, 8, 2), (64, 32, 8, 1))),
        (128, _pair((32, 32, 8, 2), (32, 32, 8, 2))),
        (256, _pair((16, 16, 8, 1), (16, 16, 8, 1))),
    ),
    ("sm_120", 4): (
        (64, _pair((32, 32, 4, 1), (32, 32, 4, 1))),
        (128, _pair((32, 32, 8, 1), (32, 32, 8, 1))),
        (256, _pair((16, 16, 8, 1), (16, 16, 8, 1))),
    ),
    ("gfx942", 4): (
        (64, _pair((32, 64, 4, 1), (64, 32, 4, 1))),
        (128, _pair((32, 32, 4, 1), (32, 32, 4, 1))),
        (256, _pair((16, 32, 4, 1), (32, 16, 4, 1))),
    ),
    ("interpreter", 2): ((256, _pair((64, 64), (64, 64))),),
    ("interpreter", 4): ((256, _pair((64, 64), (64, 64))),),
}


def choose_backward_tiles(target: str, head_dim: int, dtype_bytes: int) -> BackwardTiles:
    """The table's entry for a target such as "sm_90"; a GPU of the same family borrows its nearest relative's."""
    rows = TILES[(relative(target), dtype_bytes)]
    return next(tiles for widest, tiles in rows if padded_width(head_dim) <= widest)
