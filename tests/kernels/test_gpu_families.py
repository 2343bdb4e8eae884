"""Every GPU finds tiles: its own, or those of the relative whose shared memory is as large."""

from itertools import product

import pytest
import torch

from minillm.kernels.attention_tiles import choose_tiles
from minillm.kernels.decode_tiles import choose_decode_tiles, processors
from minillm.kernels.paged_tiles import FEWEST_ROWS, choose_paged_tiles
from minillm.kernels.targets import dot_precision, has_float8, relative

# GPU: whose tables it reads, and whether it converts float8_e4m3fn.
KNOWN = {
    "sm_80": ("sm_80", False), "sm_86": ("sm_120", False), "sm_87": ("sm_80", False), "sm_89": ("sm_120", True),
    "sm_90": ("sm_90", True), "sm_90a": ("sm_90", True), "sm_100": ("sm_100", True), "sm_103": ("sm_100", True),
    "sm_120": ("sm_120", True), "sm_121": ("sm_120", True), "gfx942": ("gfx942", True), "gfx950": ("gfx942", True),
    "interpreter": ("interpreter", True),
}  # fmt: skip


@pytest.mark.parametrize("target", KNOWN)
def test_a_gpu_is_given_its_relatives_tiles(target):
    family, reads_float8 = KNOWN[target]
    assert (relative(target), has_float8(target)) == (family, reads_float8)
    for choose, D, size in product((choose_tiles, choose_decode_tiles), (1, 64, 65, 128, 129, 256), (2, 4)):
        assert choose(target, D, size) == choose(family, D, size)
    for rows, D, size, quantized in product(
        (1, FEWEST_ROWS, FEWEST_ROWS + 1, 512), (1, 128, 256), (2, 4), (False, True)
    ):
        mine, theirs = (choose_paged_tiles(name, D, size, rows, quantized=quantized) for name in (target, family))
        assert mine == theirs
    assert processors(target, torch.device("meta")) == processors(family, torch.device("cpu"))


@pytest.mark.parametrize("target", KNOWN)
def test_paged_decoding_has_the_tiles_of_decoding_with_its_lookups_stages_besides(target):
    """Half the keys where they are widened in registers; and on NVIDIA as many tiles on the way, each behind a look-up."""
    for D, size in product((64, 128, 256), (2, 4)):
        plain = choose_decode_tiles(target, D, size)
        paged, narrow = (
            choose_paged_tiles(target, D, size, FEWEST_ROWS, quantized=is_narrow) for is_narrow in (False, True)
        )
        assert (paged.block_l, paged.block_s, paged.num_warps) == (FEWEST_ROWS, plain.block_s, plain.num_warps)
        assert paged.num_stages == (2 * plain.num_stages - 1 if target.startswith("sm_") else plain.num_stages)
        assert narrow.block_s == max(16, plain.block_s // 2) and narrow.num_stages == paged.num_stages
        assert choose_paged_tiles(target, D, size, FEWEST_ROWS + 1).block_l >= FEWEST_ROWS


def test_only_float32_on_nvidia_is_multiplied_in_passes():
    assert dot_precision("sm_90", torch.float32) == "tf32x3"
    for target, dtype in (("sm_90", torch.bfloat16), ("gfx942", torch.float32), ("interpreter", torch.float32)):
        assert dot_precision(target, dtype) == "ieee"
