"""How decode kernels cut their work on each GPU: one small table, chosen from by architecture, head width and dtype.

Rows of a tile are query heads, as many as share a KV head, padded to what a dot takes; so only the run of keys is chosen
here. Decoding waits for memory: what counts is how many bytes a program has asked for and not yet received, which is a
tile of keys and one of values for every stage but the one at work.
"""

from dataclasses import dataclass
from functools import cache

import torch

from minillm.kernels.targets import relative
from minillm.measure.numbers import require_power_of_two, require_whole


@dataclass(frozen=True)
class DecodeTiles:
    """How a decode kernel cuts its work: keys per tile, warps per program, loads in flight.

    Raises InvalidType or InvalidValue unless `block_s` is a power of two from 16, as a dot wants, and warps one from 1.
    """

    block_s: int
    num_warps: int = 4
    num_stages: int = 1

    def __post_init__(self) -> None:
        require_whole(num_stages=self.num_stages)
        require_power_of_two(at_least=16, block_s=self.block_s)
        require_power_of_two(num_warps=self.num_warps)


# By architecture and bytes per element: (widest D, tiles), narrowest first. As many stages as leave room for two programs
# on a multiprocessor, in tiles of 16 KiB; fewer, or more warps, wherever the compiler reported spilled registers.
DECODE_TILES: dict[tuple[str, int], tuple[tuple[int, DecodeTiles], ...]] = {
    ("sm_80", 2): ((64, DecodeTiles(128, 4, 3)), (128, DecodeTiles(64, 4, 3)), (256, DecodeTiles(32, 4, 3))),
    ("sm_90", 2): ((64, DecodeTiles(128, 4, 4)), (128, DecodeTiles(64, 4, 4)), (256, DecodeTiles(32, 4, 4))),
    ("sm_100", 2): ((64, DecodeTiles(128, 4, 4)), (128, DecodeTiles(64, 4, 4)), (256, DecodeTiles(32, 4, 4))),
    ("sm_120", 2): ((64, DecodeTiles(128, 4, 2)), (128, DecodeTiles(64, 4, 2)), (256, DecodeTiles(32, 8, 2))),
    ("gfx942", 2): ((64, DecodeTiles(128, 4, 2)), (128, DecodeTiles(64, 4, 2)), (256, DecodeTiles(32, 4, 2))),
    ("sm_80", 4): ((64, DecodeTiles(64, 4, 3)), (128, DecodeTiles(32, 4, 3)), (256, DecodeTiles(16, 8, 3))),
    ("sm_90", 4): ((64, DecodeTiles(64, 4, 3)), (128, DecodeTiles(32, 4, 3)), (256, DecodeTiles(16, 8, 3))),
    ("sm_100", 4): ((64, DecodeTiles(64, 4, 3)), (128, DecodeTiles(32, 4, 3)), (256, DecodeTiles(16, 8, 3))),
    ("sm_120", 4): ((64, DecodeTiles(64, 4, 2)), (128, DecodeTiles(32, 4, 2)), (256, DecodeTiles(16, 8, 2))),
    ("gfx942", 4): ((64, DecodeTiles(64, 4, 1)), (128, DecodeTiles(32, 4, 1)), (256, DecodeTiles(16, 4, 1))),
    ("interpreter", 2): ((256, DecodeTiles(64)),),
    ("interpreter", 4): ((256, DecodeTiles(64)),),
}

# Multiprocessors of the board each target is rehearsed for: A100, H100 and H200 SXM, B200, RTX 5090, MI300X. The
# interpreter runs one program at a time.
PROCESSORS = {"sm_80": 108, "sm_90": 132, "sm_100": 148, "sm_120": 170, "gfx942": 304, "interpreter": 1}


def choose_decode_tiles(target: str, head_dim: int, dtype_bytes: int) -> DecodeTiles:
    """The table's entry for a target such as "sm_90"; a GPU of the same family borrows its nearest relative's."""
    rows = DECODE_TILES[(relative(target), dtype_bytes)]
    return next(tiles for widest, tiles in rows if head_dim <= widest)


def processors(target: str, device: torch.device) -> int:
    """Multiprocessors of the GPU that the tensors lie on; of tensors elsewhere, those of the target's usual board."""
    if device.type == "cuda" and target != "interpreter":
        return _processors_of(device.index if device.index is not None else torch.cuda.current_device())
    return PROCESSORS[relative(target)]


@cache
def _processors_of(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count
