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


PLAIN = BackwardTiles(Tiles(64, 64), Tiles(64, 64))

TILES: dict[tuple[str, int], tuple[tuple[int, BackwardTiles], ...]] = {
    (name, size): ((256, PLAIN),)
    for name in ("sm_80", "sm_90", "sm_100", "sm_120", "gfx942", "interpreter")
    for size in (2, 4)
}


def choose_backward_tiles(target: str, head_dim: int, dtype_bytes: int) -> BackwardTiles:
    """The table's entry for a target such as "sm_90"; a GPU of the same family borrows its nearest relative's."""
    rows = TILES[(relative(target), dtype_bytes)]
    return next(tiles for widest, tiles in rows if padded_width(head_dim) <= widest)
