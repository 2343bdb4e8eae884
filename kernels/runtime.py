"""In which way could this machine run a Triton kernel: compiled on a GPU, interpreted on a CPU, or not at all.

Triton compiles for GPUs. Without one it can still interpret a kernel, one program at a time, which is slow and exact
enough to learn from and to test with. Without Triton itself (macOS, Windows) the lessons show the torch twin instead.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """How kernels run here: `name` is "gpu", "interpreter" or "absent", and `why` says what decided it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def mode() -> Mode:
    """Look at this machine, without importing Triton, and never raise."""
    if not _triton_is_installed():
        reason = "Triton is not installed" if sys.platform == "linux" else f"Triton has no build for {sys.platform}"
        return Mode("absent", f"{reason}; lessons show the torch twin of each kernel")
    if os.environ.get("TRITON_INTERPRET", "").lower() in {"1", "true", "on", "yes"}:
        return Mode("interpreter", "TRITON_INTERPRET is set; kernels run on the CPU, one program at a time")
    gpu = _gpu_name()
    if gpu is None:
        return Mode("interpreter", "torch finds no GPU; kernels run on the CPU, one program at a time")
    return Mode("gpu", f"kernels are compiled for {gpu}")


def _triton_is_installed() -> bool:
    try:
        return importlib.util.find_spec("triton") is not None
    except (ImportError, ValueError):  # a half-imported or blanked-out module has no spec to find
        return False


def _gpu_name() -> str | None:
    try:
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    except Exception:  # a broken driver must not stop the lessons: it is the same as no GPU
        return None
