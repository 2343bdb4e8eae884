"""How large are the tiles of a matrix product, and how many programs work on them? A table by architecture, and two rules.

Large tiles read less and keep the multipliers busier; small ones give a small product enough tiles to occupy the chip.
"""

from dataclasses import dataclass

import torch

from minillm.kernels.targets import relative


@dataclass(frozen=True)
class Tiles:
    """How a kernel cuts its work: rows and columns of an output tile, depth of a step, warps, loads in flight."""

    block_m: int
    block_n: int
    block_k: int
    num_warps: int = 4
    num_stages: int = 1


# By architecture and bytes per element, largest first. The shapes are those of Triton's matmul tutorials (128 x 256 x 64 for
# Hopper, 128 x 256 x 32 for Ampere), made smaller where the compiler reported spilled registers or more shared memory
# than the chip has. No time has been measured for them yet.
TILES: dict[tuple[str, int], tuple[Tiles, ...]] = {
    ("sm_80", 2): (Tiles(128, 256, 32, 8, 4), Tiles(128, 128, 32, 4, 4), Tiles(64, 64, 64, 4, 4)),
    ("sm_90", 2): (Tiles(128, 256, 64, 8, 3), Tiles(128, 128, 64, 8, 3), Tiles(64, 64, 64, 4, 4)),
    ("sm_100", 2): (Tiles(128, 256, 64, 8, 3), Tiles(128, 128, 64, 8, 3), Tiles(64, 64, 64, 4, 4)),
    ("sm_120", 2): (Tiles(128, 128, 64, 8, 3), Tiles(64, 64, 64, 4, 4)),
    ("gfx942", 2): (Tiles(256, 128, 64, 8, 2), Tiles(128, 128, 64, 8, 2), Tiles(64, 64, 64, 4, 2)),
    ("sm_80", 4): (Tiles(128, 128, 16, 8, 4), Tiles(64, 64, 16, 4, 4)),
    ("sm_90", 4): (Tiles(128, 128, 32, 8, 3), Tiles(64, 64, 32, 4, 3)),
    ("sm_100", 4): (Tiles(128, 128, 32, 8, 3), Tiles(64, 64, 32, 4, 3)),
    ("sm_120", 4): (Tiles(128, 64, 32, 8, 3), Tiles(64, 64, 32, 4, 3)),
    ("gfx942", 4): (Tiles(128, 128, 32, 8, 2), Tiles(64, 64, 32, 4, 2)),
    ("interpreter", 2): (Tiles(64, 64, 32),),
    ("interpreter", 4): (Tiles(64, 64, 32),),
}
# Multiprocessors of one chip of each kind, for compiling without it: A100, H100 and H200, B200, RTX 5090, MI300X.
MULTIPROCESSORS = {"sm_80": 108, "sm_90": 132, "sm_100": 148, "sm_120": 170, "gfx942": 304, "interpreter": 4}


def choose_tiles(target: str, M: int, N: int, dtype_bytes: int) -> Tiles:
    """The largest tiles of which there are enough to give every multiprocessor one; the smallest for small products."""
    rows = TILES[(relative(target), dtype_bytes)]
    wanted = MULTIPROCESSORS[relative(target)]
    enough = (t for t in rows if -(-M // t.block_m) * -(-N // t.block_n) >= wanted)
    return next(enough, rows[-1])


def multiprocessors(target: str, device: torch.device) -> int:
    """How many programs a persistent kernel starts: this chip's multiprocessors, or the usual number of the target's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return MULTIPROCESSORS[relative(target)]
