"""One contestant of the kernel lab, judged: how far from float64, what it moved and multiplied, and how long if honest.

Errors and counters come from the same run. Only an answer that is right is timed, and an interpreted kernel never is: its
time is the interpreter's. Whatever a contestant does (raise, never return, edit its inputs) costs it its own row alone.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minillm.errors import InvalidType, InvalidValue, MinillmError, rule_numbers_remedy
from minillm.lab.checks.call import Given, LearnerCall, LearnerFault
from minillm.lab.checks.compare import TOLERANCES, kind_problem, value_problem
from minillm.lab.checks.fault import raised_finding
from minillm.lab.checks.result import Finding
from minillm.lab.widgets.operators import Operator, Rung
from minillm.measure import count, time_call

RIGHT, WRONG, FAILED, RECORDED = "right", "wrong", "failed", "recorded"
HERE = "here"
NOT_TIMED = "not timed: "
INTERPRETED = f"{NOT_TIMED}interpreted"
NOT_CHOSEN = f"{NOT_TIMED}another machine is chosen"
TIME_LIMIT = 30.0
REFUSALS = tuple(error.__name__ for error in MinillmError.__subclasses__())


@dataclass(frozen=True)
class Entry:
    """One row: bytes and FLOPs as counted, times in seconds a call; None is what nobody knows.

    `max_error` is the largest absolute difference from float64, `rms_error` the root mean square of the differences over
    that of the right answer. `bytes_moved` stands alone in records, which keep no two counts;
    `paper_flops` is the arithmetic on paper at a record's own shape. `first_bad` is the first index outside the tolerance.
    """

    name: str
    where: str
    verdict: str
    max_error: float | None = None
    rms_error: float | None = None
    bytes_loaded: int | None = None
    bytes_stored: int | None = None
    bytes_moved: int | None = None
    flops: int | None = None
    paper_flops: int | None = None
    p20: float | None = None
    p50: float | None = None
    p80: float | None = None
    first_bad: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Match:
    """What every contestant of one comparison is given: the tensors, `causal` if it means something, and the right answer."""

    operator: Operator
    tensors: tuple[Tensor, ...]
    options: Mapping[str, Any]
    want: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that goes in, and must come out."""
        return self.tensors[0].dtype


def make_match(operator: Operator, shape: Mapping[str, int], dtype: str, causal: bool, device: str = "cpu") -> Match:
    """Operator, shape, dtype -> seeded random tensors and the float64 answer to those very (rounded) tensors."""
    options = {"causal": causal} if operator.causal else {}
    try:
        made = operator.make(shape, torch.Generator().manual_seed(sum(shape.values())))
        tensors = tuple(tensor.to(device, getattr(torch, dtype)) for tensor in made)
        want = operator.oracle(*(tensor.double() for tensor in tensors), **options)
    except RuntimeError as problem:
        if not re.search("allocat|out of memory|overflow", str(problem)):
            raise
        rule = f"the tensors of a comparison and its answer in float64 must fit the memory of {device}"
        raise InvalidValue(rule_numbers_remedy(rule, f"{dict(shape)}", "choose smaller sizes")) from None
    return Match(operator, tensors, options, want)


def judge(name: str, rung: Rung, match: Match, *, seconds: float | None) -> Entry:
    """Run one contestant once, count it, hold it to float64, and time it for `seconds` (None: not) if it is right."""
    entry = Entry(name, HERE, FAILED)
    call = LearnerCall(rung, match.operator.arguments, time_limit=TIME_LIMIT)
    try:
        options = accepted_options(rung, match.options)
        with watch_interpreter() as interpreted:
            outcome = call.observe(Given(match.tensors, options), count)
    except (LearnerFault, InvalidType) as fault:
        finding = fault.finding if isinstance(fault, LearnerFault) else raised_finding(fault)
        return replace(entry, note=_words(finding))
    counted = replace(
        entry,
        bytes_loaded=outcome.counters.bytes_loaded,
        bytes_stored=outcome.counters.bytes_stored,
        flops=outcome.counters.flops,
    )
    if outcome.edited:
        return replace(counted, verdict=WRONG, note=f"edits its input {', '.join(outcome.edited)}")
    judged = _hold_to_oracle(counted, outcome.result, match)
    if judged.verdict != RIGHT:
        return judged
    if interpreted or seconds is None:
        return replace(judged, note=INTERPRETED if interpreted else NOT_CHOSEN)
    try:
        timing = call.guard(lambda: time_call(lambda: rung(*match.tensors, **options), min_seconds=seconds))
    except LearnerFault as fault:
        return replace(judged, verdict=FAILED, note=f"when called again: {_words(fault.finding)}")
    return replace(judged, p20=timing.p20, p50=timing.p50, p80=timing.p80)


def _hold_to_oracle(entry: Entry, result: Any, match: Match) -> Entry:
    problem = kind_problem(result, match.want, match.dtype)
    if problem:
        return replace(entry, verdict=WRONG, note=_words(problem))
    error = (result.detach().double() - match.want).abs()
    rms = (error.square().mean().sqrt() / match.want.square().mean().sqrt()).item()
    measured = replace(entry, max_error=error.max().item(), rms_error=rms)
    problem = value_problem(result, match.want, "outside the tolerance", TOLERANCES[match.dtype])
    if problem is None:
        return replace(measured, verdict=RIGHT)
    facts = dict(problem.facts)
    first = facts.pop("first bad index")
    words = ", ".join(f"{label} {text}" for label, text in facts.items())
    return replace(measured, verdict=WRONG, first_bad=first, note=f"first bad index {first}: {words}")


def _words(finding: Finding) -> str:
    """A finding in one line: the exception if there was one, else its meaning with what was got and wanted."""
    facts = dict(finding.facts)
    if "raised" in facts:
        ours = facts["raised"].startswith(REFUSALS)  # a refusal of ours says all there is to say
        where = facts["at"].splitlines()[-1].strip() if "at" in facts and not ours else ""
        return f"{facts['raised']}{f' (at {where})' if where else ''}"
    details = ", ".join(f"{label} {text}" for label, text in finding.facts)
    return f"{finding.meaning}{f' ({details})' if details else ''}"


def accepted_options(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options `function` has a parameter for. Raises InvalidType when one that is switched on has none."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions do not tell
        return dict(options)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(options)
    missing = [name for name, value in options.items() if value and name not in parameters]
    if missing:
        raise InvalidType(f"it has no parameter `{missing[0]}`; give it one, or compare with {missing[0]}=False.")
    return {name: value for name, value in options.items() if name in parameters}


@contextmanager
def watch_interpreter() -> Iterator[list[str]]:
    """A list that fills with the kernels Triton's interpreter runs meanwhile: how one tells that a time would be its."""
    from minillm.kernels.runtime import mode

    ran: list[str] = []
    if mode().name != "interpreter":
        yield ran
        return
    from minillm.kernels.runtime import triton  # noqa: F401  (imports Triton, in this machine's mode)

    executor = sys.modules["triton.runtime.interpreter"].GridExecutor  # type: ignore[attr-defined]
    execute = executor.__call__

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        ran.append(getattr(self.fn, "__name__", "kernel"))
        return execute(self, *args, **kwargs)

    executor.__call__ = watched
    try:
        yield ran
    finally:
        executor.__call__ = execute
