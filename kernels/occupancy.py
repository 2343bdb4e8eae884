"""How many programs fit on one multiprocessor at once, and what stops the next one.

A program holds its registers and its shared memory from start to end. A multiprocessor has a fixed stock of both, and of
places for warps; whichever runs out first decides how many programs hide each other's waiting.

Sources: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", and the tuning guides; AMD CDNA3
Instruction Set Architecture, and LLVM's AMDGPU usage guide (register and wave limits of gfx90a and gfx942).
"""

from __future__ import annotations

from dataclasses import dataclass

from minillm.errors import unknown_name

KIB = 1024


@dataclass(frozen=True)
class Architecture:
    """What one multiprocessor (AMD: compute unit) has. Shared memory in bytes; registers of 4 bytes a thread.

    `registers` is a scheduler's stock: a thread's registers times its warps there must stay below it.
    """

    name: str
    unit: str
    warp_size: int
    schedulers: int
    warps_per_scheduler: int
    registers: int
    register_step: int
    max_programs: int
    shared_bytes: int
    program_shared_bytes: int
    reserved_shared_bytes: int
    tensor_memory_columns: int = 0

    @property
    def max_warps(self) -> int:
        return self.schedulers * self.warps_per_scheduler


def _nvidia(name: str, warps: int, programs: int, shared: int, tensor_memory: int = 0) -> Architecture:
    """A scheduler has 512 registers for each of its 32 lanes; a program may use all shared memory but 1 KiB."""
    return Architecture(
        name, "SM", 32, 4, warps // 4, 512, 8, programs, shared * KIB, (shared - 1) * KIB, KIB, tensor_memory
    )


ARCHITECTURES = {
    "sm_80": _nvidia("A100", 64, 32, 164),
    "sm_86": _nvidia("RTX 30", 48, 16, 100),
    "sm_89": _nvidia("RTX 40, L40", 48, 24, 100),
    "sm_90": _nvidia("H100, H200", 64, 32, 228),
    "sm_100": _nvidia("B200", 64, 32, 228, 512),
    "sm_120": _nvidia("RTX 50", 48, 24, 100),
    "gfx942": Architecture("MI300X", "CU", 64, 4, 8, 512, 8, 16, 64 * KIB, 64 * KIB, 0),
}
TARGETS = ("sm_80", "sm_90", "sm_100", "sm_120", "gfx942")


def architecture_of(target: str) -> Architecture:
    """The limits of a target by its name; raises InvalidValue, with the nearest name, for one that is in no table."""
    if target not in ARCHITECTURES:
        raise unknown_name("target", target, ARCHITECTURES)
    return ARCHITECTURES[target]


@dataclass(frozen=True)
class Occupancy:
    """Resident `programs` on a multiprocessor, the `warps` they bring as a fraction of its places, and what is `limited_by`.

    `limited_by` is "registers", "shared memory", "tensor memory" or "warps" (places for warps or programs).
    """

    programs: int
    warps: int
    fraction: float
    limited_by: str

    def __str__(self) -> str:
        plural = "" if self.programs == 1 else "s"
        return f"{self.programs} program{plural}, {self.fraction:.0%} of the warps, limited by {self.limited_by}"


def occupancy(
    chip: Architecture, *, registers: int, shared_bytes: int, warps: int, tensor_memory_columns: int = 0
) -> Occupancy:
    """How many programs of `warps` warps, `registers` a thread and `shared_bytes` each fit on one multiprocessor."""
    step = chip.register_step
    held = max(step, -(-registers // step) * step)
    by_registers = chip.schedulers * (chip.registers // held) // warps
    limits = {"warps": min(chip.max_programs, chip.max_warps // warps), "registers": by_registers}
    if shared_bytes:
        limits["shared memory"] = chip.shared_bytes // (shared_bytes + chip.reserved_shared_bytes)
        if shared_bytes > chip.program_shared_bytes:
            limits["shared memory"] = 0
    if tensor_memory_columns:
        limits["tensor memory"] = chip.tensor_memory_columns // tensor_memory_columns
    limited_by = min(limits, key=lambda name: limits[name])
    programs = limits[limited_by]
    return Occupancy(programs, programs * warps, programs * warps / chip.max_warps, limited_by)
