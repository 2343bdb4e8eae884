"""The kinds of case an exercise is made of: contract, values, numbers, properties, budgets.

Each is a small frozen record with a name and a `judge(call)` that returns a Finding, or None when content. A lesson
author picks kinds and fills them in; none of them needs to know how an answer is called or shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from minillm.errors import unknown_name
from minillm.lab.checks.call import Given, LearnerCall, Outcome
from minillm.lab.checks.compare import clip, kind_problem, number_text, value_problem
from minillm.lab.checks.result import Finding

Make = Callable[[], Given]
Oracle = Callable[..., Any]


COUNTERS = (
    *("bytes_loaded", "bytes_stored", "bytes_moved", "flops", "peak_bytes", "peak_on_chip_bytes"),
    "largest_tensor_bytes",
)


class Case(Protocol):
    """Anything with a name that can judge an answer."""

    @property
    def name(self) -> str: ...

    def judge(self, call: LearnerCall) -> Finding | None: ...


def given(*args: Any, **kwargs: Any) -> Given:
    """The inputs of one call, written as the call would be."""
    return Given(args, kwargs)


@dataclass(frozen=True)
class Contract:
    """Judges the kind of result only: type, shape, dtype, device, and that the inputs are left alone.

    `make` builds fresh inputs; `oracle` gets the same inputs in float64 and says what shape is right. Floating results
    must have the dtype of the first floating input unless `dtype` says otherwise.
    """

    name: str
    make: Make
    oracle: Oracle
    dtype: torch.dtype | None = None
    allow_views: bool = False

    def judge(self, call: LearnerCall) -> Finding | None:
        inputs = self.make()
        want = self.oracle(*(wide := _in_float64(inputs)).args, **wide.kwargs)
        return _with_inputs(_contract_problem(call.observe(inputs), inputs, want, self), inputs, call)


@dataclass(frozen=True)
class Values:
    """Judges the result against `oracle`, which gets the same inputs in float64; the contract is checked on the way.

    `meaning` is the sentence a learner reads when the numbers differ. `tolerance` is (relative, absolute) and follows
    the dtype by default; `where` turns the first bad index into words, such as its tile.
    """

    name: str
    make: Make
    oracle: Oracle
    meaning: str = "The numbers differ from the float64 reference."
    tolerance: tuple[float, float] | None = None
    where: Callable[[tuple[int, ...]], str] | None = None
    dtype: torch.dtype | None = None
    allow_views: bool = False

    def judge(self, call: LearnerCall) -> Finding | None:
        inputs = self.make()
        want = self.oracle(*(wide := _in_float64(inputs)).args, **wide.kwargs)
        outcome = call.observe(inputs)
        problem = _contract_problem(outcome, inputs, want, self) or value_problem(
            outcome.result, want, self.meaning, self.tolerance, self.where
        )
        return _with_inputs(problem, inputs, call)


@dataclass(frozen=True)
class Numbers:
    """Judges a formula: `args` and `kwargs` in, the number `want` out, within `relative` of it, in `unit`."""

    name: str
    args: tuple[Any, ...]
    want: float
    unit: str = ""
    meaning: str = "The formula gives another number here."
    relative: float = 1e-6
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def judge(self, call: LearnerCall) -> Finding | None:
        inputs = Given(self.args, dict(self.kwargs))
        got = call.observe(inputs).result
        problem = kind_problem(got, self.want) or value_problem(
            got, self.want, self.meaning, (self.relative, 0.0), unit=self.unit
        )
        return _with_inputs(problem, inputs, call)


@dataclass(frozen=True)
class Answer:
    """Judges a plain value given instead of a function: a number within `relative`, or anything else by equality.

    `explain` maps tempting wrong values to the sentence each deserves. Belongs to an exercise with an empty signature.
    """

    name: str
    want: Any
    meaning: str = "That is not it."
    explain: Mapping[Any, str] = field(default_factory=dict)
    unit: str = ""
    relative: float = 1e-6

    def judge(self, call: LearnerCall) -> Finding | None:
        got = call.function
        problem = kind_problem(got, self.want, label="answer") or value_problem(
            got, self.want, self.meaning, (self.relative, 0.0), unit=self.unit
        )
        if problem is None:
            return None
        # The wanted value stays unsaid: the question would be over.
        meaning = next((text for tempting, text in self.explain.items() if tempting == got), problem.meaning)
        return Finding(meaning, tuple(fact for fact in problem.facts if fact[0] in ("what", "got")))


@dataclass(frozen=True)
class Property:
    """Judges a law: `law(call)` may call the answer as often as it likes, and returns None, False for broken, or a Finding.

    `call(*args, **kwargs)` runs the answer on copies and returns its result; `same(...)` compares two results. A Finding
    that says itself what is wrong is shown as it is, and `meaning` is for those that do not.
    """

    name: str
    law: Callable[[LearnerCall], Finding | bool | None]
    meaning: str

    def judge(self, call: LearnerCall) -> Finding | None:
        verdict = call.guard(lambda: self.law(call))
        if verdict is None or verdict is True:
            return None
        if isinstance(verdict, Finding):
            return Finding(verdict.meaning or self.meaning, verdict.facts)
        return Finding(self.meaning)


def same(got: Any, want: Any, tolerance: tuple[float, float] | None = None) -> Finding | None:
    """None when two results agree in kind and value, else what differs first; for use inside a law."""
    dtype = want.dtype if isinstance(want, torch.Tensor) else None
    return kind_problem(got, want, dtype) or value_problem(got, want, "", tolerance)


@dataclass(frozen=True)
class Budget:
    """Judges the technique by what a call uses. `limits` maps a counter to the most it may read.

    The counters are those of `ml.count()` (see COUNTERS) and `largest_tensor_bytes`, the biggest single allocation; all
    are exact and the same on every machine. Raises InvalidValue for another name.
    """

    name: str
    make: Make
    limits: Mapping[str, int]
    meaning: str

    def __post_init__(self) -> None:
        for counter in self.limits:
            if counter not in COUNTERS:
                raise unknown_name("counter", counter, COUNTERS)

    def judge(self, call: LearnerCall) -> Finding | None:
        from minillm.measure.counters import count

        inputs = self.make()
        counters = call.observe(inputs, count).counters
        for counter, limit in self.limits.items():
            used, tensor = _reading(counters, counter)
            if used > limit:
                facts = (("got", f"{counter} {number_text(used)}"), ("want", f"at most {number_text(limit)}"))
                tensor_fact = (("tensor", tensor),) if tensor else ()
                return _with_inputs(Finding(self.meaning, facts + tensor_fact), inputs, call)
        return None


def _reading(counters: Any, counter: str) -> tuple[int, str]:
    """What `counter` reads, and for the largest tensor its shape and the operation that made it."""
    if counter != "largest_tensor_bytes":
        return int(getattr(counters, counter)), ""
    largest = counters.largest_tensor
    return (largest.bytes, f"{largest.shape} made by {largest.op}") if largest else (0, "")


def _contract_problem(outcome: Outcome, inputs: Given, want: Any, case: Contract | Values) -> Finding | None:
    problem = kind_problem(outcome.result, want, case.dtype or _first_floating(inputs))
    if problem:
        return problem
    if outcome.edited:
        meaning = "The function edited its input in place: the caller's tensor must come back as it went in."
        return Finding(meaning, (("edited", ", ".join(outcome.edited)),))
    if outcome.shared and not case.allow_views:
        meaning = "The result is a view of an input, so writing to one would change the other: return a new tensor."
        return Finding(meaning, (("shares memory with", ", ".join(outcome.shared)),))
    return None


def _in_float64(inputs: Given) -> Given:
    """The same inputs with every floating tensor at the top level in float64."""

    def widen(value: Any) -> Any:
        return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return Given(tuple(widen(v) for v in inputs.args), {name: widen(v) for name, v in inputs.kwargs.items()})


def _first_floating(inputs: Given) -> torch.dtype | None:
    values = (*inputs.args, *inputs.kwargs.values())
    return next((v.dtype for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()), None)


def _with_inputs(problem: Finding | None, inputs: Given, call: LearnerCall) -> Finding | None:
    """The finding with the inputs described first, so that a learner can rebuild the case."""
    if problem is None:
        return None
    return Finding(problem.meaning, (("inputs", describe(inputs, call.names)), *problem.facts), problem.layer)


def describe(inputs: Given, names: tuple[str, ...]) -> str:
    """Inputs in one line: `q (1, 3, 2, 8), k (1, 7, 2, 8) strided, causal=True; float32`."""
    named = [(names[i] if i < len(names) else f"argument {i}", v) for i, v in enumerate(inputs.args)]
    named += list(inputs.kwargs.items())
    dtypes = {v.dtype for _, v in named if isinstance(v, torch.Tensor)}
    parts = []
    for name, value in named:
        if isinstance(value, torch.Tensor):
            strided = "" if value.is_contiguous() else " strided"
            kind = f" {value.dtype}" if len(dtypes) > 1 else ""
            parts.append(f"{name} {tuple(value.shape)}{strided}{kind}".replace("torch.", ""))
        else:
            parts.append(f"{name}={clip(repr(value), 60)}")
    shared = f"; {str(dtypes.pop()).removeprefix('torch.')}" if len(dtypes) == 1 else ""
    return ", ".join(parts) + shared
