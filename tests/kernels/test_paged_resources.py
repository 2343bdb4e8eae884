"""Paged attention, compiled for every target: no spilled registers, tiles that arrive asynchronously, 16 bytes at a time.

A tile of a paged cache lies where a number says that is itself loaded first, once for a tile that fits into a block and
once a key for one that does not. Both must keep what makes loads fast: rows of a block are still contiguous.
"""

from itertools import product
from typing import NamedTuple

import pytest
import torch

pytest.importorskip("triton")

from minillm.kernels import inspect, paged_attention
from minillm.kernels.named_calls import DTYPES
from minillm.kernels.targets import has_float8

HALF = ("fp16", "bf16")
SPILL_FREE = ("sm_80", "sm_90", "sm_100")
CACHES = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}


class Case(NamedTuple):
    """32 texts of up to 8192 tokens, H 32 and G 8, that bring one token or a chunk of 512."""

    target: str
    kind: str
    dtype: str
    D: int
    P: int
    cache: str = ""

    def __str__(self) -> str:
        return "-".join(map(str, self)).rstrip("-")


def cases() -> list[Case]:
    """Half precision at D 64 and 128 in blocks of 16 and 64, dtypes taking turns; then what else there is, once a target."""
    found, turn = [], 0
    for target, kind, D, P in product(inspect.TARGETS, ("decode", "chunks"), (64, 128), (16, 64)):
        if target in SPILL_FREE or P == 16:
            found.append(Case(target, kind, HALF[turn % 2], D, P))
            turn += P == 16 or D == 128
    for target, kind in product(inspect.TARGETS, ("decode", "chunks")):
        found += [Case(target, kind, "bf16", 256, 16), Case(target, kind, "fp32", 128 if kind == "chunks" else 64, 16)]
        found += [Case(target, kind, "bf16", 128, 16, "int8")]
    found += [Case(target, "decode", "fp16", 128, 64, "fp8") for target in inspect.TARGETS if has_float8(target)]
    return found


def call(case):
    """The call on "meta" tensors; one run of keys, since merging has a kernel of its own."""
    B, L, blocks = 32, 1 if case.kind == "decode" else 512, 8192 // case.P

    def empty(*shape, dtype):
        return torch.empty(shape, dtype=dtype, device="meta")

    def index(*shape):
        return empty(*shape, dtype=torch.int32)

    dtype = DTYPES[case.dtype]
    cache = empty(B * blocks, case.P, 8, case.D, dtype=CACHES.get(case.cache, dtype))
    scale = empty(B * blocks, case.P, 8, dtype=torch.float32) if case.cache else None
    q = empty(B * L, 32, case.D, dtype=dtype)
    tables = index(B, blocks), index(B), index(B + 1)
    return lambda: paged_attention(
        q, cache, torch.empty_like(cache), *tables, L, num_splits=1, k_scale=scale, v_scale=scale
    )


@pytest.fixture(scope="module")
def compiled() -> dict[Case, inspect.Report]:
    """Each case's report, compiled side by side in two processes."""
    jobs = [job for case in cases() for job in inspect.call_jobs(call(case), target=case.target)]
    return dict(zip(cases(), inspect.compile_many(jobs, processes=2), strict=True))


@pytest.mark.parametrize("case", cases(), ids=str)
def test_it_compiles_fits_and_spills_nothing(compiled, case):
    report = compiled[case]
    assert isinstance(report, inspect.Report), report
    assert report.fits and report.occupancy.programs >= 1, report
    if case.target in SPILL_FREE or report.triton.startswith("3.7."):
        assert report.spill_bytes == 0, report


@pytest.mark.parametrize("case", cases(), ids=str)
def test_dots_run_on_the_matrix_units_and_tiles_come_asynchronously(compiled, case):
    report = compiled[case]
    assert report.matrix_instructions > 0, report
    if case.target.startswith("sm_"):
        assert report.wide_async_copies > 0, report
        # What is fetched 4 bytes at a time are entries of the table, and a quantised cache's scales.
        assert report.instructions["async_copy_small"] <= report.wide_async_copies or case.cache, report
