"""Three exercises of lesson 04 on the rows of a matrix: their sums, their softmax, and a clinic.

Rows are where strides matter: the next row need not begin where this one ends, and no power of two need divide it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given
from minillm.lab.checks.exercise import Exercise
from minillm.lab.exercises.kernel_cases import KernelCase, launch_of

INF = math.inf
Matrix = Callable[[], torch.Tensor]


def _place(index: tuple[int, ...]) -> str:
    return ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), index, strict=False))


def _normal(R: int, N: int, dtype: torch.dtype = torch.float32, shift: float = 0.0) -> Matrix:
    return lambda: inputs.normal(f"rows {R} {N} {shift}", R, N, dtype=dtype) + shift


def _every_second_row(R: int, N: int) -> Matrix:
    return lambda: inputs.normal(f"every second of {R} {N}", 2 * R, N)[::2]


def _turned(R: int, N: int, shift: float = 0.0) -> Matrix:
    return lambda: (inputs.normal(f"turned {R} {N}", N, R) + shift).T


def _sum(x: torch.Tensor) -> torch.Tensor:
    return x.sum(1)


def _sum_case(name: str, meaning: str, matrix: Matrix, limits=None, kind_only=False) -> KernelCase:  # type: ignore[no-untyped-def]
    def make() -> Given:
        x = matrix()
        return launch_of(x, out=torch.empty(len(x)))

    return KernelCase(name, make, _sum, meaning, limits or {}, where=_place, kind_only=kind_only)


ROW_SUM = Exercise(
    id="04.row_sum",
    title="Sum the rows of any matrix",
    statement=(
        "out[r] = the sum of row r of x (R, N), for any N up to 4,096 and any strides; x is float32 or float16, out (R,) is "
        "float32, and the sum is made in float32."
    ),
    signature="row_sum(x, out)",
    interpreted=True,
    layers={
        "contract": (_sum_case("returns out", "Launch a kernel that fills out, and return out.", _normal(3, 16), kind_only=True),),
        "values": (
            _sum_case("rows of 100", "100 is no power of two: lanes past the end of a row must add 0.", _normal(5, 100)),
            _sum_case("rows of 1", "A row of one element is its own sum.", _normal(7, 1)),
            _sum_case("rows of 1,000", "No row fits a small fixed tile: loop over it, or take triton.next_power_of_2(N).", _normal(2, 1000)),
            _sum_case("every second row", "The next row starts x.stride(0) further on, which is not N here.", _every_second_row(4, 30)),
            _sum_case("transposed", "Neighbours in a row lie x.stride(1) apart, which is not 1 here.", _turned(6, 50)),
            _sum_case("float16", "Sum in float32: in float16 the sum of these rows is rounded again and again.", _normal(2, 3000, torch.float16, 4.0)),
        ),
        "resources": (
            _sum_case("each element once", "Each element is read once, and no byte besides; each sum is written once.", _normal(6, 100), {"bytes_loaded": (2400, 2400), "bytes_stored": (24, 24)}),
        ),
    },
    hints=(
        "A program owns a row. Lanes past the end of the row must hold what does not change a sum.",
        "Element (r, n) lies at r · x.stride(0) + n · x.stride(1). A tile has a power of two of lanes, of which N work.",
        "offs = tl.arange(0, BLOCK)\n"
        "x = tl.load(x_ptr + row * stride_r + offs * stride_n, mask=offs < N, other=0.0).to(tl.float32)\n"
        "tl.store(out_ptr + row, tl.sum(x, 0))\noutside: BLOCK=triton.next_power_of_2(N), and (R,) programs",
    ),
    solution="notebooks/solutions/lesson_04.py: row_sum",
)  # fmt: skip


def _softmax(x: torch.Tensor) -> torch.Tensor:
    m = x.amax(1, keepdim=True)
    p = (x - torch.where(m == -INF, 0.0, m)).exp()
    total = p.sum(1, keepdim=True)
    return p / torch.where(total == 0, 1.0, total)


def _hidden() -> torch.Tensor:
    x = inputs.normal("hidden", 4, 37)
    x[0, 5:], x[1, ::2], x[2, :36] = -INF, -INF, -INF
    return x


def _blind() -> torch.Tensor:
    x = inputs.normal("blind", 3, 20)
    x[1] = -INF
    return x


def _softmax_case(name: str, meaning: str, matrix: Matrix, limits=None, kind_only=False) -> KernelCase:  # type: ignore[no-untyped-def]
    def make() -> Given:
        x = matrix()
        return launch_of(x, out=torch.empty(x.shape))

    return KernelCase(name, make, _softmax, meaning, limits or {}, where=_place, kind_only=kind_only)


SOFTMAX = Exercise(
    id="04.softmax",
    title="Softmax of rows, hidden and loud",
    statement=(
        "out = softmax of each row of x (R, N), N up to 4,096, read once and written once. Rows may lie any stride apart. "
        "Scores may be -inf, or ±1000; a row of nothing but -inf gives 0."
    ),
    signature="softmax_rows(x, out)",
    interpreted=True,
    layers={
        "contract": (_softmax_case("returns out", "Launch a kernel that fills out, and return out.", _normal(2, 16), kind_only=True),),
        "values": (
            _softmax_case("rows of 100", "Lanes past the end must weigh nothing: exp(0) is 1, so 0 is the wrong filling.", _normal(4, 100)),
            _softmax_case("all negative", "The largest score is below 0 here: what did the lanes past the end hold?", _normal(3, 40, shift=-60.0)),
            _softmax_case("scores of ±1000", "exp of a large score overflows: take the row's maximum off first.", lambda: inputs.normal("loud", 3, 33) * 1000),
            _softmax_case("hidden scores", "A score of -inf has weight 0.", _hidden),
            _softmax_case("a row that sees nothing", "-inf - -inf is NaN, and so is 0 / 0: a row of -inf gives 0.", _blind),
            _softmax_case("every second row", "The next row of x starts x.stride(0) further on.", _every_second_row(4, 24)),
        ),
        "resources": (
            _softmax_case("one read, one write", "The row fits on the chip: read it once, write it once.", _normal(6, 100), {"bytes_loaded": (2400, 2400), "bytes_stored": (2400, 2400)}),
        ),
    },
    hints=(
        "A program owns a row and holds all of it. Nothing that is computed in between has to leave the chip.",
        "Lanes past the end hold -inf: they are no maximum, and exp(-inf) adds 0. Two guards for a row of -inf: subtract 0 in "
        "place of m = -inf, and divide by 1 in place of 0.",
        "x = tl.load(…, mask=offs < N, other=-float('inf'))\nm = tl.max(x, 0), or 0.0 if it is -inf (tl.where)\n"
        "p = tl.exp(x - m)\nl = tl.sum(p, 0), or 1.0 if it is 0\nstore p / l with the same mask",
    ),
    solution="kernels/softmax.py: softmax_resident, and notebooks/solutions/lesson_04.py: softmax_rows",
)  # fmt: skip


def _below_the_top(x: torch.Tensor) -> torch.Tensor:
    return x - x.amax(1, keepdim=True)


def _clinic_case(name: str, meaning: str, matrix: Matrix, limits=None, kind_only=False) -> KernelCase:  # type: ignore[no-untyped-def]
    def make() -> Given:
        x = matrix()
        return launch_of(x, out=torch.empty(x.shape))

    return KernelCase(name, make, _below_the_top, meaning, limits or {}, where=_place, kind_only=kind_only)


CLINIC = Exercise(
    id="04.clinic",
    title="Clinic: a kernel that leaves its rows",
    statement="Mend the patient: out = x minus the largest element of its row, for any N up to 4,096 and any strides of x.",
    signature="mended(x, out)",
    interpreted=True,
    layers={
        "contract": (_clinic_case("returns out", "Launch a kernel that fills out, and return out.", _normal(4, 16), kind_only=True),),
        "values": (
            _clinic_case("the author's", "This one the patient could do.", _normal(8, 64)),
            _clinic_case("rows of 50", "A tile of 64 lanes has 14 too many for this row: what do they write, and where?", _normal(6, 50)),
            _clinic_case("rows of 50, below 0", "The largest element is below 0: what did the lanes past the end hold?", _normal(6, 50, shift=-9.0)),
            _clinic_case("every second row", "The next row of x starts x.stride(0) further on.", _every_second_row(5, 64)),
            _clinic_case("transposed", "Neighbours in a row of x lie x.stride(1) apart.", _turned(5, 64)),
            _clinic_case("all of it", "Strides, a tail and negative rows at once.", _turned(7, 21, shift=-5.0)),
        ),
        "resources": (
            _clinic_case("one read, one write", "Each element is read once and written once.", _normal(6, 50), {"bytes_loaded": (1200, 1200), "bytes_stored": (1200, 1200)}),
        ),
    },
    hints=(
        "Ask of each of the two lines that touch memory: which lanes may, at which address, and what do the others hold?",
        "x and out have strides of their own. Both accesses need the mask. A lane that is off must hold what no maximum can be.",
        "pass x.stride(0), x.stride(1), out.stride(0), out.stride(1)\n"
        "load at x_ptr + row * stride_xr + offs * stride_xn, mask=mask, other=-float('inf')\n"
        "store at out_ptr + row * stride_or + offs * stride_on, mask=mask",
    ),
    solution="notebooks/solutions/lesson_04.py: mended",
)  # fmt: skip
