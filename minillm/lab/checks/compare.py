"""Comparing what an answer returned with what was wanted: first its kind (shape, dtype, device), then its numbers.

A comparison ends at the first difference, because one index a learner can print is worth more than a thousand wrong
ones.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import torch

from minillm.lab.checks.result import Finding
from minillm.lab.formatting import format_number

# Tolerances against a float64 oracle that starts from the same rounded inputs: (relative, absolute).
TOLERANCES = {
    torch.float64: (1e-9, 1e-10),
    torch.float32: (1e-4, 1e-5),
    torch.float16: (5e-3, 2e-3),
    torch.bfloat16: (2e-2, 2e-2),
}


def kind_problem(got: Any, want: Any, dtype: torch.dtype | None = None, label: str = "result") -> Finding | None:
    """The first way in which `got` is the wrong kind of thing: type, length, shape, dtype or device; None if right.

    `want` is a tensor, a number, another plain value, or a tuple of these; `dtype` is the floating dtype wanted of
    tensors (the oracle's own float64 is never what the learner must return).
    """
    if isinstance(want, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in want):
        return _sequence_problem(got, want, dtype, label)
    if isinstance(want, torch.Tensor):
        return _tensor_problem(got, want, dtype, label)
    if _is_number(want):
        return None if _as_number(got) is not None else _kind(label, type(got).__name__, "a number", _returned(got))
    if isinstance(got, type(want)) or (isinstance(want, (tuple, list)) and isinstance(got, (tuple, list))):
        return None
    return _kind(label, type(got).__name__, type(want).__name__, _returned(got))


def _sequence_problem(got: Any, want: Any, dtype: torch.dtype | None, label: str) -> Finding | None:
    if not isinstance(got, (tuple, list)):
        return _kind(label, type(got).__name__, f"a tuple of {len(want)}", _returned(got))
    if len(got) != len(want):
        return _kind(label, f"{len(got)} items", f"{len(want)} items", "The number of returned values is wrong.")
    problems = (kind_problem(g, w, dtype, f"{label}[{i}]") for i, (g, w) in enumerate(zip(got, want, strict=True)))
    return next((problem for problem in problems if problem), None)


def _tensor_problem(got: Any, want: torch.Tensor, dtype: torch.dtype | None, label: str) -> Finding | None:
    if not isinstance(got, torch.Tensor):
        return _kind(label, type(got).__name__, "torch.Tensor", _returned(got))
    if got.layout != torch.strided:
        return _kind(label, str(got.layout), str(torch.strided), "The result must be an ordinary dense tensor.")
    if got.shape != want.shape:
        return _kind(f"{label} shape", str(tuple(got.shape)), str(tuple(want.shape)), "The result has the wrong shape.")
    wanted = dtype if want.is_floating_point() and dtype else want.dtype
    if got.dtype != wanted and (
        got.is_floating_point() or wanted.is_floating_point or torch.bool in (got.dtype, wanted)
    ):
        return _kind(f"{label} dtype", _short(got.dtype), _short(wanted), "The result must keep the dtype asked for.")
    if got.device != want.device:
        return _kind(
            f"{label} device", str(got.device), str(want.device), "The result must stay on the inputs' device."
        )
    return None


def _kind(label: str, got: str, want: str, meaning: str) -> Finding:
    return Finding(meaning, (("what", label), ("got", got), ("want", want)))


def _returned(got: Any) -> str:
    if got is None:
        return "The function returned None: is a `return` missing?"
    if type(got).__module__ == "numpy":
        return "The function left torch for NumPy: return a torch tensor."
    return "The function returned the wrong kind of thing."


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _as_number(value: Any) -> float | int | None:
    """A real number out of a Python, NumPy or zero-dimensional torch scalar; None for anything else."""
    if isinstance(value, torch.Tensor) and value.dim() == 0 and value.dtype != torch.bool and not value.is_complex():
        return value.item()
    return value if _is_number(value) else None  # type: ignore[return-value]


def value_problem(
    got: Any,
    want: Any,
    meaning: str,
    tolerance: tuple[float, float] | None = None,
    where: Callable[[tuple[int, ...]], str] | None = None,
    unit: str = "",
) -> Finding | None:
    """The first place where `got` leaves `want` by more than the (relative, absolute) tolerance; None if nowhere.

    Both are of one kind already (see `kind_problem`). NaN equals NaN and an infinity equals itself. `where` turns the
    first bad index into words, such as the tile it lies in.
    """
    if isinstance(want, torch.Tensor):
        return _tensor_difference(got, want, meaning, tolerance, where)
    if isinstance(want, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in want):
        problems = (
            (i, value_problem(g, w, meaning, tolerance, where)) for i, (g, w) in enumerate(zip(got, want, strict=True))
        )
        found = next(((i, p) for i, p in problems if p), None)
        return Finding(meaning, (("what", f"result[{found[0]}]"), *found[1].facts)) if found else None
    if _is_number(want):
        return _number_difference(got, want, meaning, tolerance, unit)
    same = list(got) == list(want) if isinstance(want, (tuple, list)) else got == want
    return None if same else Finding(meaning, (("got", clip(repr(got))), ("want", clip(repr(want)))))


def _tensor_difference(got: torch.Tensor, want: torch.Tensor, meaning: str, tolerance, where) -> Finding | None:
    relative, absolute = tolerance or TOLERANCES.get(got.dtype, (0.0, 0.0))
    with torch.no_grad():
        got_wide, want_wide = got.detach().to(torch.float64), want.to(torch.float64)
        bad = ~torch.isclose(got_wide, want_wide, rtol=relative, atol=absolute, equal_nan=True)
    if not bad.any():
        return None
    index = tuple(int(i) for i in bad.nonzero()[0])
    facts = [("first bad index", str(index))]
    if where:
        facts.append(("where", where(index)))
    facts += [("got", number_text(got_wide[index].item())), ("want", number_text(want_wide[index].item()))]
    facts.append(("wrong", f"{int(bad.sum())} of {bad.numel()} elements"))
    return Finding(meaning, tuple(facts))


def _number_difference(got: Any, want: Any, meaning: str, tolerance, unit: str) -> Finding | None:
    value = _as_number(got)
    relative, absolute = tolerance or (1e-6, 0.0)
    # NaN compares false with everything; an infinity is near nothing but itself, whatever the tolerance times it may be.
    near = value is not None and abs(value - want) <= absolute + relative * abs(want) < math.inf
    if value is not None and (value == want or near):
        return None
    suffix = f" {unit}" if unit else ""
    facts = [("got", number_text(value) + suffix), ("want", number_text(want) + suffix)]
    if value and want and value / want > 0:
        ratio = value / want
        facts.append(("ratio", f"got / want = {ratio:.4g}" if abs(ratio - 1) > 5e-3 else f"got / want = {ratio:.9g}"))
    return Finding(meaning, tuple(facts))


def number_text(value: Any) -> str:
    """Whole numbers exactly, others to six digits: enough to see a difference that the tolerance sees."""
    if not _is_number(value):
        return clip(repr(value))
    return format_number(value) if float(value).is_integer() else f"{float(value):.6g}"


def clip(text: str, limit: int = 200) -> str:
    """`text` cut to `limit` characters, with a sign that something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
