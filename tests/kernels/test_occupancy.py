"""How many programs fit: against NVIDIA's own calculator's rules, worked by hand."""

import pytest

from minillm.errors import InvalidValue
from minillm.kernels.occupancy import ARCHITECTURES, architecture_of, occupancy

KIB = 1024


@pytest.mark.parametrize(
    "target, registers, shared, warps, programs, limited_by",
    [
        ("sm_90", 32, 0, 4, 16, "warps"),  # 64 places / 4
        ("sm_90", 16, 0, 1, 32, "warps"),  # no more than 32 programs, whatever they bring
        ("sm_90", 168, 0, 4, 3, "registers"),  # 512 // 168 = 3 warps a scheduler
        ("sm_90", 169, 0, 4, 2, "registers"),  # 169 is held as 176: 2 warps a scheduler
        ("sm_90", 255, 0, 8, 1, "registers"),  # 2 warps a scheduler are 8 in all
        ("sm_90", 32, 113 * KIB, 4, 2, "shared memory"),  # each costs 1 KiB more than it asks
        ("sm_90", 32, 114 * KIB, 4, 1, "shared memory"),
        ("sm_90", 32, 228 * KIB, 4, 0, "shared memory"),  # does not even start
        ("sm_80", 32, 54 * KIB, 4, 2, "shared memory"),
        ("sm_120", 32, 0, 4, 12, "warps"),
        ("gfx942", 128, 0, 4, 4, "registers"),
        ("gfx942", 352, 32 * KIB, 4, 1, "registers"),
        ("gfx942", 64, 32 * KIB, 4, 2, "shared memory"),
        ("gfx942", 32, 0, 1, 16, "warps"),
    ],
)
def test_what_runs_out_first(target, registers, shared, warps, programs, limited_by):
    fit = occupancy(ARCHITECTURES[target], registers=registers, shared_bytes=shared, warps=warps)
    assert (fit.programs, fit.limited_by) == (programs, limited_by)
    assert fit.warps == programs * warps and fit.fraction == fit.warps / ARCHITECTURES[target].max_warps


def test_tensor_memory_runs_out_too():
    fit = occupancy(ARCHITECTURES["sm_100"], registers=32, shared_bytes=0, warps=4, tensor_memory_columns=256)
    assert (fit.programs, fit.limited_by) == (2, "tensor memory")
    assert str(fit) == "2 programs, 12% of the warps, limited by tensor memory"


def test_an_unknown_target_is_answered_with_the_nearest():
    with pytest.raises(InvalidValue, match=r"did you mean 'gfx942'"):
        architecture_of("gfx941")
