"""Read an assembler's output: which instructions a kernel became, and how many registers and spills they cost.

Counts are static: how often an instruction stands in the text, whichever part of it a loop repeats. They tell whether the
compiler used the matrix units and the asynchronous copies at all, which is what a choice of tile or alignment decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The names that NVIDIA's SASS gives, by the word for them that a reader of PTX knows.
SASS = {
    "mma_sync": r"[HIDQO]MMA\b",
    "wgmma": r"[HIQB]GMMA\b",
    "tcgen05_mma": r"UTC[A-Z]*MMA\b",
    "async_copy_16": r"LDGSTS\b[.\w]*\.128\b",
    "async_copy_small": r"LDGSTS\b(?![.\w]*\.128\b)",
    "tma_load": r"UTMALDG\b",
    "tma_store": r"UTMASTG\b",
    "global_load": r"LDG\b",
    "global_store": r"STG\b",
    "shared_load": r"LDSM?\b",
    "shared_store": r"STSM?\b",
    "local_load": r"LDL\b",
    "local_store": r"STL\b",
    "ex2": r"MUFU\.EX2\b",
    "fma": r"FFMA2?\b",
    "barrier": r"BAR\b",
}
AMDGCN = {
    "mfma": r"v_mfma_",
    "async_copy_16": r"(?:global_load_lds_dwordx4\b|buffer_load_dwordx4\b[^\n]*\blds\b)",
    "async_copy_small": r"(?:global_load_lds_dword\b|buffer_load_dword\b[^\n]*\blds\b)",
    "global_load": r"(?:global|buffer|flat)_load_(?!lds)(?![^\n]*\blds\b)",
    "global_store": r"(?:global|buffer|flat)_store_",
    "shared_load": r"ds_(?:read|load)",
    "shared_store": r"ds_(?:write|store)",
    "local_load": r"scratch_load_",
    "local_store": r"scratch_store_",
    "ex2": r"v_exp_f32",
    "fma": r"v_(?:pk_)?(?:fma|fmac|mac|mad)_f32",
    "barrier": r"s_barrier",
}
MATRIX = ("mma_sync", "wgmma", "tcgen05_mma", "mfma")


@dataclass(frozen=True)
class Resources:
    """What one thread needs: registers (AMD: vector registers, accumulators included), and spill stores + loads in bytes."""

    registers: int
    spill_bytes: int


def count_instructions(stages: dict[str, str]) -> dict[str, int]:
    """Each kind's number in the final assembly, SASS or AMDGCN; kinds that the architecture lacks are absent."""
    if "sass" in stages:
        prefix, kinds, text = r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?", SASS, stages["sass"]
    else:
        prefix, kinds, text = r"^\s+", AMDGCN, stages["amdgcn"]
    return {name: len(re.findall(prefix + pattern, text, re.MULTILINE)) for name, pattern in kinds.items()}


def read_resources(stages: dict[str, str], assembler_log: str) -> Resources:
    """Registers and spills from `ptxas -v`, or from the metadata at the end of AMD's assembly.

    AMD counts spilled registers, not bytes: 4 bytes each, once.
    """
    if "amdgcn" in stages:
        text = stages["amdgcn"]
        return Resources(_sum(r"\.vgpr_count:\s+(\d+)", text), 4 * _sum(r"\.vgpr_spill_count:\s+(\d+)", text))
    used = [int(number) for number in re.findall(r"Used (\d+) registers", assembler_log)]
    spills = _sum(r"(\d+) bytes spill stores", assembler_log) + _sum(r"(\d+) bytes spill loads", assembler_log)
    return Resources(max(used, default=0), spills)


def _sum(pattern: str, text: str) -> int:
    return sum(int(number) for number in re.findall(pattern, text))
