"""Which GPU a kernel is for, by name: "sm_90" is NVIDIA's Hopper, "gfx942" AMD's MI300; "interpreter" is no GPU at all."""

import torch


def relative(target: str) -> str:
    """The architecture of the tables that a target is closest to, by shared memory first: sm_89 has as little as sm_120."""
    if target.startswith("gfx"):
        return "gfx942"
    if not target.startswith("sm_"):
        return target
    number = int(target.removeprefix("sm_").rstrip("af"))
    if number in (80, 87):
        return "sm_80"
    return "sm_120" if number < 90 or number >= 120 else "sm_90" if number < 100 else "sm_100"


def has_float8(target: str) -> bool:
    """Whether Triton converts float8_e4m3fn for a target: from compute capability 8.9; for AMD and the interpreter, always."""
    return not target.startswith("sm_") or int(target.removeprefix("sm_").rstrip("af")) >= 89


def dot_precision(target: str, dtype: torch.dtype) -> str:
    """How a dot of this dtype multiplies: float32 in three passes of TF32 on NVIDIA, which keeps 2e-5; plainly elsewhere."""
    return "tf32x3" if dtype == torch.float32 and target.startswith("sm_") else "ieee"
