"""Every kernel, compiled for every target, uses the hardware as it should: by what the compiler says, with no GPU.

A wrong tile or a lost fact about alignment shows here as spilled registers, too much shared memory, or plain loads where
asynchronous ones were meant, long before somebody measures a slow kernel. What was compiled before is read from the disk.
"""

from typing import NamedTuple

import pytest

pytest.importorskip("triton")

from minillm.kernels import inspect
from minillm.kernels.named_calls import named_call

HALF = ("fp16", "bf16")
NVIDIA = tuple(target for target in inspect.TARGETS if target.startswith("sm_"))
SPILL_FREE = ("sm_80", "sm_90", "sm_100")  # these kernels, in half precision and at D = 64 and 128
WITHOUT_DOTS = ("softmax", "merge_states", "kv_write", "rotary", "rotary_write")
NEVER_SPILL = ("flash_attention", "flash_decode")


class Case(NamedTuple):
    """A named call and a target; widths and masks matter to attention only."""

    name: str
    target: str
    dtype: str = "bf16"
    head_dim: int = 128
    causal: bool = False

    def __str__(self) -> str:
        causal = "-causal" if self.causal else ""
        return f"{self.name}-{self.target}-{self.dtype}-{self.head_dim}{causal}"


def cases() -> list[Case]:
    """The forward in all its forms for sm_90; elsewhere dtype and mask take turns, since each is seen with the other."""
    widths = (64, 128)
    found = [
        Case("flash_attention", "sm_90", dtype, D, causal) for D in widths for dtype in HALF for causal in (True, False)
    ]
    for target in inspect.TARGETS:
        found += [Case("flash_attention", target, dtype, D, dtype == "bf16") for D in widths for dtype in HALF]
        found += [Case("flash_attention", target, "bf16", 256, True), Case("flash_attention", target, "fp32", 64)]
        found += [Case("flash_attention_varlen", target, "bf16", 128, True), Case("merge_states", target)]
        found += [Case("flash_backward", target, "bf16", 64), Case("flash_backward", target, "fp16", 128, True)]
        found += [Case("flash_decode", target, dtype, D) for D in widths for dtype in HALF]
        found += [Case("flash_decode", target, "bf16", 256), Case("flash_decode", target, "fp32", 64)]
        found += [Case("kv_write", target), Case("rotary", target), Case("rotary_write", target)]
        found += [Case("softmax", target), Case("matmul", target), Case("matmul", target, "fp32")]
    found += [Case("flash_attention", "sm_90", "bf16", 80, True), Case("flash_attention", "sm_80", "bf16", 96, True)]
    found += [Case("flash_attention", "sm_90", "fp32", 128), Case("softmax", "sm_90", "fp32")]
    return list(dict.fromkeys(found))


# Bytes spilled a thread (stores + loads), by case and kernel, as Triton 3.7 compiles them; none elsewhere.
SPILLS: dict[tuple[str, str], int] = {
    ("flash_attention-sm_100-fp32-64", "flash_attention_kernel"): 128,
    ("flash_decode-sm_90-bf16-256", "flash_decode_kernel"): 24,
    ("flash_backward-sm_80-fp16-128-causal", "dkdv_kernel"): 8,
    ("flash_backward-sm_90-fp16-128-causal", "dkdv_kernel"): 24,
}


@pytest.fixture(scope="module")
def compiled() -> dict[Case, list[inspect.Report]]:
    """Each case's reports, one a launch, compiled side by side in two processes."""
    jobs = [(case, job) for case in cases() for job in jobs_of(case)]
    reports: dict[Case, list[inspect.Report]] = {case: [] for case in cases()}
    for (case, _), report in zip(jobs, inspect.compile_many([job for _, job in jobs], processes=2), strict=True):
        reports[case].append(report)
    return reports


def jobs_of(case: Case) -> list[inspect.Job]:
    call = named_call(case.name, dtype=case.dtype, head_dim=case.head_dim, causal=case.causal)
    return inspect.call_jobs(call, target=case.target)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_it_compiles_and_fits(compiled, case):
    assert compiled[case]
    for report in compiled[case]:
        assert isinstance(report, inspect.Report), report
        assert report.fits and report.occupancy.programs >= 1, report


@pytest.mark.parametrize("case", [case for case in cases() if case.dtype in HALF], ids=str)
def test_dots_run_on_the_matrix_units_and_their_tiles_come_asynchronously(compiled, case):
    with_dots = [report for report in compiled[case] if "tt.dot" in report.stages["ttir"]]
    assert bool(with_dots) == (case.name not in WITHOUT_DOTS)
    for report in with_dots:
        assert report.matrix_instructions > 0, report
        if case.target in NVIDIA:
            assert report.wide_async_copies > 0, report
            # The backward also fetches a number a row, of lse and delta: 4 bytes each.
            assert report.instructions["async_copy_small"] == 0 or case.name == "flash_backward", report


@pytest.mark.parametrize("case", cases(), ids=str)
def test_registers_are_spilled_only_where_it_is_known(compiled, case):
    spilled = {(str(case), r.kernel): r.spill_bytes for r in compiled[case] if r.spill_bytes}
    if case.name in NEVER_SPILL and case.target in SPILL_FREE and case.dtype in HALF and case.head_dim in (64, 128):
        assert spilled == {}
    elif compiled[case][0].triton.startswith("3.7."):
        assert spilled == {key: bytes for key, bytes in SPILLS.items() if key[0] == str(case)}
    else:
        pytest.skip("the table of spills is Triton 3.7's")


@pytest.mark.parametrize("name", ["softmax", "kv_write"])
@pytest.mark.parametrize("target", NVIDIA)
def test_copies_move_16_bytes_at_a_time(compiled, target, name):
    """Slots are looked up 8 bytes at a time."""
    (report,) = compiled[Case(name, target)]
    moves = [text for _, text in report.lines("sass") if "LDG." in text or "STG." in text]
    wide = (".128", ".64") if name == "kv_write" else (".128",)
    assert moves and all(any(width in text for width in wide) for text in moves)
    assert sum(".128" in text for text in moves) >= 2


def test_the_table_of_spills_is_about_these_cases():
    assert {case for case, _ in SPILLS} <= {str(case) for case in cases()}
