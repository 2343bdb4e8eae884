"""How attention kernels cut their work on each GPU: one small table, chosen from by architecture, head width and dtype.

A table and not a search, so that the first call of a shape costs nothing and the same shape always runs the same code.
"""

from dataclasses import dataclass

from minillm.errors import InvalidType, rule_numbers_remedy
from minillm.kernels.targets import relative
from minillm.measure.numbers import require_power_of_two, require_whole


@dataclass(frozen=True)
class Tiles:
    """How a kernel cuts its work: rows of queries and of keys per tile, warps per program, loads in flight.

    Raises InvalidType or InvalidValue unless the rows are powers of two from 16, as a dot wants, and warps one from 1.
    """

    block_l: int
    block_s: int
    num_warps: int = 4
    num_stages: int = 1

    def __post_init__(self) -> None:
        require_whole(num_stages=self.num_stages)
        require_power_of_two(at_least=16, block_l=self.block_l, block_s=self.block_s)
        require_power_of_two(num_warps=self.num_warps)


# By architecture and bytes per element: (widest D, tiles), narrowest first. The shapes are those that torch's
# FlexAttention ships for these GPUs (torch 2.13, inductor's template heuristics), with four warps made eight, or a tile
# halved, wherever the compiler reported spilled registers or too much shared memory; AMD's are from ROCm's aiter.
TILES: dict[tuple[str, int], tuple[tuple[int, Tiles], ...]] = {
    ("sm_80", 2): (
        (64, Tiles(128, 64, 8, 3)),
        (127, Tiles(128, 32, 8, 3)),  # the mask over a padded D takes the registers that 64 keys would need
        (128, Tiles(128, 64, 8, 3)),
        (256, Tiles(64, 64, 8, 2)),
    ),
    ("sm_90", 2): ((64, Tiles(128, 64, 4, 3)), (128, Tiles(128, 64, 8, 3)), (256, Tiles(128, 64, 8, 2))),
    ("sm_100", 2): ((64, Tiles(128, 64, 8, 3)), (128, Tiles(128, 64, 8, 3)), (256, Tiles(128, 32, 8, 2))),
    ("sm_120", 2): ((64, Tiles(128, 32, 4, 2)), (128, Tiles(128, 64, 8, 2)), (256, Tiles(64, 32, 8, 2))),
    ("gfx942", 2): ((128, Tiles(128, 64, 4, 1)), (256, Tiles(64, 32, 4, 1))),
    ("sm_80", 4): ((64, Tiles(64, 32, 4, 2)), (128, Tiles(32, 32, 8, 2)), (256, Tiles(16, 32, 8, 2))),
    ("sm_90", 4): ((64, Tiles(64, 32, 4, 2)), (128, Tiles(32, 32, 8, 2)), (256, Tiles(16, 32, 8, 2))),
    ("sm_100", 4): ((64, Tiles(64, 32, 4, 2)), (128, Tiles(32, 32, 8, 2)), (256, Tiles(16, 32, 8, 2))),
    ("sm_120", 4): ((64, Tiles(64, 32, 4, 2)), (128, Tiles(32, 32, 8, 2)), (256, Tiles(16, 32, 8, 1))),
    ("gfx942", 4): ((128, Tiles(64, 32, 4, 1)), (256, Tiles(32, 16, 4, 1))),
    ("interpreter", 2): ((256, Tiles(64, 64)),),
    ("interpreter", 4): ((256, Tiles(64, 64)),),
}


def choose_tiles(target: str, head_dim: int, dtype_bytes: int) -> Tiles:
    """The table's entry for a target such as "sm_90"; a GPU of the same family borrows its nearest relative's."""
    rows = TILES[(relative(target), dtype_bytes)]
    return next(tiles for widest, tiles in rows if head_dim <= widest)


def require_tiles(tiles: object, kind: type) -> None:
    """Raise InvalidType unless `tiles` is None, for the table's choice, or of this kind."""
    if tiles is not None and not isinstance(tiles, kind):
        rule, found = f"tiles must be {kind.__name__}(…), or None for the table's choice", f"{tiles!r:.60}"
        raise InvalidType(rule_numbers_remedy(rule, found, f"import {kind.__name__} from {kind.__module__}"))
