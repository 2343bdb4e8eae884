"""How paged attention cuts its work on each GPU: one small table, chosen from by architecture, head width, dtype and rows.

Rows of a tile are tokens times the heads that share a KV head. Texts that bring one token fill a few rows and wait for
memory, so they get decode's tiles; prompts fill as many rows as fit, so that keys are read once for all of them.
"""

from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.decode_tiles import choose_decode_tiles
from minillm.kernels.targets import relative

# As few rows as a dot takes.
FEWEST_ROWS = 16
# By architecture and bytes per element: (widest D, tiles), narrowest first. The dense kernel's shapes, smaller where the
# compiler reported spilled registers. A tile's place is itself loaded first, and each of the two loads is given half of
# the stages: 5 keep as many tiles on the way as 3 do in the dense kernel.
PAGED_TILES: dict[tuple[str, int], tuple[tuple[int, Tiles], ...]] = {
    ("sm_80", 2): ((64, Tiles(128, 64, 8, 5)), (128, Tiles(64, 64, 8, 5)), (256, Tiles(64, 32, 8, 3))),
    ("sm_90", 2): ((64, Tiles(128, 64, 8, 5)), (128, Tiles(128, 64, 8, 5)), (256, Tiles(64, 32, 8, 3))),
    ("sm_100", 2): ((64, Tiles(64, 128, 4, 3)), (128, Tiles(128, 64, 8, 5)), (256, Tiles(64, 32, 8, 3))),
    ("sm_120", 2): ((64, Tiles(128, 32, 8, 3)), (128, Tiles(64, 64, 8, 3)), (256, Tiles(64, 32, 8, 3))),
    ("gfx942", 2): ((128, Tiles(128, 64, 4, 1)), (256, Tiles(64, 32, 4, 1))),
    ("sm_80", 4): ((64, Tiles(32, 32, 4, 3)), (256, Tiles(16, 32, 8, 3))),
    ("sm_90", 4): ((64, Tiles(64, 32, 4, 3)), (256, Tiles(16, 32, 8, 3))),
    ("sm_100", 4): ((64, Tiles(32, 32, 4, 3)), (256, Tiles(16, 32, 8, 3))),
    ("sm_120", 4): ((64, Tiles(32, 32, 4, 3)), (128, Tiles(16, 32, 8, 3)), (256, Tiles(16, 32, 8, 1))),
    ("gfx942", 4): ((128, Tiles(64, 32, 4, 1)), (256, Tiles(32, 16, 4, 1))),
    ("interpreter", 2): ((256, Tiles(64, 64)),),
    ("interpreter", 4): ((256, Tiles(64, 64)),),
}


def choose_paged_tiles(target: str, head_dim: int, dtype_bytes: int, rows: int, *, quantized: bool = False) -> Tiles:
    """The table's entry for a target such as "sm_90" and texts that bring up to `rows` rows, tokens times heads a group.

    A quantised tile of decoding is widened in registers, which hold half as many keys of it.
    """
    if rows <= FEWEST_ROWS:
        decode = choose_decode_tiles(target, head_dim, dtype_bytes)
        stages = 2 * decode.num_stages - 1 if target.startswith("sm_") else decode.num_stages
        block_s = max(16, decode.block_s // 2) if quantized else decode.block_s
        return Tiles(FEWEST_ROWS, block_s, decode.num_warps, stages)
    entries = PAGED_TILES[(relative(target), dtype_bytes)]
    return next(tiles for widest, tiles in entries if head_dim <= widest)
