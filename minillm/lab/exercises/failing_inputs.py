"""The exercise 04.failing_inputs: three inputs on which a sick kernel shows its three faults, one symptom each.

Whoever finds the input has nearly found the fault. The patient is run here by a twin in torch, lane by lane and row by row,
so that this exercise needs no Triton.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.walled_memory import footprints, walled

OUTSIDE = -7.0
MOST = 4096


def examine_patient(x: torch.Tensor) -> tuple[bool, int]:
    """x (R, N), any strides -> whether the patient's result is right, and how many elements it wrote outside it."""
    inside, out = walled(x), walled(torch.empty(x.shape), OUTSIDE)
    run_patient(inside, out)
    want = x - x.amax(1, keepdim=True)
    return torch.allclose(out, want, atol=1e-5), len(footprints(out, OUTSIDE))


def run_patient(x: torch.Tensor, out: torch.Tensor) -> None:
    """The lesson's `sick_kernel`, a program after the other: contiguous rows, 0 past their end, a store without a mask."""
    R, N = x.shape
    block = 1 << (N - 1).bit_length()
    source, target = (torch.empty(0, dtype=t.dtype).set_(t.untyped_storage()) for t in (x, out))  # type: ignore[call-overload]
    for row in range(R):
        lanes = torch.zeros(block, dtype=x.dtype)
        start = x.storage_offset() + row * N
        lanes[:N] = source[start : start + N]
        place = out.storage_offset() + row * N
        target[place : place + block] = lanes - lanes.max()


def _inputs(call: LearnerCall) -> tuple[list[torch.Tensor], Finding | None]:
    got = call()
    if not isinstance(got, tuple | list) or len(got) != 3:
        shown = f"{len(got)} items" if isinstance(got, tuple | list) else type(got).__name__
        return [], Finding("", (("got", shown), ("want", "three tensors")))
    for number, x in enumerate(got, 1):
        form = isinstance(x, torch.Tensor) and x.dim() == 2 and 1 <= x.numel() <= MOST and x.dtype == torch.float32
        if not form or not x.isfinite().all() or x.untyped_storage().nbytes() > 16 * MOST:
            shown = f"{tuple(x.shape)} {x.dtype}" if isinstance(x, torch.Tensor) else type(x).__name__
            want = f"a finite float32 matrix of at most {MOST:,} elements"
            return [], Finding("", (("what", f"input {number}"), ("got", shown), ("want", want)))
    return list(got), None


def _symptom(
    number: int, name: str, meaning: str, shows: Callable[[torch.Tensor, bool, int], bool], also: str = ""
) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        found, problem = _inputs(call)
        if problem:
            return problem
        x = found[number]
        right, outside = examine_patient(x)
        if shows(x, right, outside):
            return None
        form = f"{tuple(x.shape)}, strides {x.stride()}"
        return Finding("", (("input", form), ("got", f"right: {right}, written outside: {outside}"), ("want", also)))

    return Property(name, law, meaning)


def _three(call: LearnerCall) -> Finding | None:
    return _inputs(call)[1]


FAILING_INPUTS = Exercise(
    id="04.failing_inputs",
    title="Three inputs on which the patient fails",
    statement=(
        "Return three float32 matrices: one on which the patient's result is right but it writes outside `out`; a contiguous "
        "one on which its result is wrong; and one on which its result is wrong though it writes nothing outside."
    ),
    signature="failing_inputs()",
    layers={
        "contract": (Property("three matrices", _three, "Return three finite float32 matrices, of 4,096 elements at most."),),
        "values": (
            _symptom(0, "writes outside", "The first input must be one that the patient gets right, and yet leaves its rows.", lambda x, right, outside: right and outside > 0, "right: True, written outside: 1 or more"),
            _symptom(1, "wrong in one piece", "The second input must be contiguous, so that strides are not to blame, and the result wrong.", lambda x, right, outside: x.is_contiguous() and not right, "contiguous, right: False"),
            _symptom(2, "wrong and tidy", "The third input must give a wrong result while nothing is written outside.", lambda x, right, outside: not right and outside == 0, "right: False, written outside: 0"),
        ),
    },
    hints=(
        "There are three things to vary, and each input needs one of them: the width, the sign of the numbers, the strides.",
        "A width that is no power of two switches lanes on that have no element. What they hold is a number too, and it takes "
        "part in the maximum. A width that is a power of two leaves nothing but the address to be wrong.",
        "first: 50 columns of numbers with something above 0 in every row\nsecond: 50 columns of numbers that are all below 0\n"
        "third: 64 columns of a wider matrix, or every second row",
    ),
    solution="notebooks/solutions/lesson_04.py: failing_inputs",
)  # fmt: skip
