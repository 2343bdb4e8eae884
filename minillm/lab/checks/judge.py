"""`check` judges a learner's answer; `hint` helps a little at a time.

The answer is the live object from the learner's notebook, never something looked up in a module. Its four layers run in
order and stop at the first that fails, because "right numbers, wrong technique" is a different lesson from "wrong shape".
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from minillm.errors import InvalidType, InvalidValue
from minillm.lab.checks.call import LearnerCall, LearnerFault
from minillm.lab.checks.cases import Case, describe
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.fault import has_empty_body, raised_finding
from minillm.lab.checks.result import FAILED, LAYERS, NOT_ATTEMPTED, PASSED, CheckResult, Finding, verdict_html
from minillm.lab.exercises import find_exercise

# What the references and comparisons are made of, as it was before any learner's cell could replace it.
_TRUSTED_NAMES = (
    *("softmax", "exp", "matmul", "bmm", "einsum", "tril", "triu", "where", "isclose", "allclose", "equal", "sum"),
    *("amax", "max", "logsumexp", "masked_fill", "clone", "scaled_dot_product_attention"),
)
_TRUSTED: dict[tuple[Any, str], Any] = {
    (place, name): getattr(place, name)
    for place in (torch, torch.Tensor, F)
    for name in _TRUSTED_NAMES
    if hasattr(place, name)
}


def check(exercise_id: str, answer: Any) -> CheckResult:
    """Judge `answer` for the exercise `exercise_id`, and return a verdict that prints itself.

    `answer` is the function, class or value from the learner's own notebook. It runs on copies of the inputs, within a
    time limit; random generators, gradient mode and default dtype are put back. A stub that still raises
    NotImplementedError (or is only `...`) is "not attempted". Nothing a learner's answer does raises here; an unknown
    exercise raises InvalidValue with the nearest name.
    """
    if not isinstance(exercise_id, str):
        numbers = f"got {type(exercise_id).__name__}"
        raise InvalidType(f'check takes the exercise\'s id first; {numbers}; write check("01.attention", attention).')
    exercise = find_exercise(exercise_id)
    result = judge(exercise, answer)
    _record(result)
    return result


def judge(exercise: Exercise, answer: Any) -> CheckResult:
    """The verdict of `exercise` on `answer`, without recording it: layer by layer, ending at the first failure."""
    if _untouched(exercise, answer):
        return _not_attempted(exercise)
    if exercise.interpreted and (reason := _not_interpreted()):
        return CheckResult(exercise.id, exercise.title, NOT_ATTEMPTED, next_step=reason)
    problem = _replaced_library() or (_signature_problem(exercise, answer) if exercise.signature else None)
    if problem:
        return _failed(exercise, "contract", None, problem)
    call = LearnerCall(answer, exercise.parameters, exercise.forbid, exercise.time_limit_s)
    counts: dict[str, int] = {}
    for layer in LAYERS:
        for case in exercise.layers.get(layer, ()):
            try:
                finding = _judge_case(case, call) or _replaced_library()
            except LearnerFault:
                return _not_attempted(exercise)
            if finding:
                return _failed(exercise, finding.layer or layer, case.name, finding)
            counts[layer] = counts.get(layer, 0) + 1
    return CheckResult(exercise.id, exercise.title, PASSED, counts=counts)


def _judge_case(case: Case, call: LearnerCall) -> Finding | None:
    """The case's finding; a fault of the learner's function becomes one too, unless it is an untouched stub."""
    try:
        return case.judge(call)
    except LearnerFault as fault:
        if fault.not_attempted:
            raise
        inputs = describe(call.last_given, call.names)
        return replace(fault.finding, facts=(("inputs", inputs), *fault.finding.facts))
    except Exception as error:
        # A comparison tripped over an odd result: the learner gets a verdict, not our traceback.
        return raised_finding(error)


def _untouched(exercise: Exercise, answer: Any) -> bool:
    return has_empty_body(answer) if exercise.signature else answer is None or answer is ...


def _signature_problem(exercise: Exercise, answer: Any) -> Finding | None:
    """Whether `answer` can be called as the exercise will call it."""
    if not callable(answer):
        name = exercise.signature.split("(")[0]
        meaning = f'Pass the function itself, not what it returns: check("{exercise.id}", {name}).'
        return Finding(meaning, (("got", type(answer).__name__), ("want", exercise.signature)))
    try:
        theirs = inspect.signature(answer)
    except (TypeError, ValueError):
        return None  # Functions written in C have no signature to read; the first call will tell.
    ours = inspect.signature(_stub(exercise.signature))
    positional = [0 for p in ours.parameters.values() if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
    by_name = {n: 0 for n, p in ours.parameters.items() if p.default is not p.empty or p.kind is p.KEYWORD_ONLY}
    try:
        theirs.bind(*positional, **by_name)
    except TypeError as error:
        shown = clip(f"{getattr(answer, '__name__', 'function')}{theirs}")
        return Finding(f"The function takes other arguments: {error}.", (("got", shown), ("want", exercise.signature)))
    return None


def _stub(signature: str) -> Callable:
    """A function with `signature`, whose defaults are all None; only its parameters matter."""
    import ast

    module = ast.parse(f"def stub{signature[signature.index('(') :]}: ...")
    arguments = module.body[0].args  # type: ignore[attr-defined]
    none = ast.Constant(None)
    arguments.defaults = [none for _ in arguments.defaults]
    arguments.kw_defaults = [default and none for default in arguments.kw_defaults]
    namespace: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(module), "<signature>", "exec"), namespace)
    return namespace["stub"]


def _replaced_library() -> Finding | None:
    """A finding when a torch function that verdicts rest on is no longer torch's own."""
    for (place, name), original in _TRUSTED.items():
        if getattr(place, name, None) is not original:
            where = "torch.nn.functional" if place is F else "torch" if place is torch else "torch.Tensor"
            meaning = f"`{where}.{name}` has been replaced, so no verdict could be trusted: restart the kernel and leave torch as it is."
            return Finding(meaning, layer="contract")
    return None


def _not_interpreted() -> str | None:
    """Why a learner's own kernel cannot be judged in this process, or None if it can."""
    from minillm.kernels.runtime import mode

    here = mode()
    if here.name == "absent":
        return f"it needs Triton, which is not here: {here.why}"
    if here.name == "gpu":
        return "it counts what the interpreter does: set TRITON_INTERPRET=1 before Python starts, or run the lesson's first cells"
    return None


def _not_attempted(exercise: Exercise) -> CheckResult:
    step = f'write {exercise.signature or "your answer"}, or ask ml.lab.hint("{exercise.id}", 1)'
    return CheckResult(exercise.id, exercise.title, NOT_ATTEMPTED, next_step=step)


def _failed(exercise: Exercise, layer: str, case: str | None, finding: Finding) -> CheckResult:
    step = f'ml.lab.hint("{exercise.id}", 1)'
    return CheckResult(exercise.id, exercise.title, FAILED, layer, case, finding, next_step=step)


def _record(result: CheckResult) -> None:
    """Append the verdict to the file a grader named in MINILLM_CHECK_LOG; without one, nothing is kept."""
    path = os.environ.get("MINILLM_CHECK_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as log:
            log.write(json.dumps(result.to_json()) + "\n")


@dataclass(frozen=True)
class Hint:
    """The hints of one exercise up to a level; prints itself as text and HTML."""

    exercise: Exercise
    level: int

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(name, text) of each hint shown, and after the last where a solution can be read."""
        names = ("1 idea", "2 invariant", "3 skeleton")
        rows = [("asked", self.exercise.statement), *list(zip(names, self.exercise.hints, strict=True))[: self.level]]
        return [*rows, ("solution", self.exercise.solution)] if self.level == 3 else rows

    def __repr__(self) -> str:
        lines = [f"hints for {self.exercise.id}: {self.exercise.title}"]
        return "\n".join(lines + [f"  {name}:\n    " + text.replace("\n", "\n    ") for name, text in self.rows])

    def _repr_html_(self) -> str:
        return verdict_html(f"hints for {self.exercise.id}: {self.exercise.title}", self.rows, PASSED)


def hint(exercise_id: str, level: int = 1) -> Hint:
    """Show what an exercise asks, word for word, and its hints up to `level`: 1 the idea, 2 the invariant, 3 the skeleton and where to read more.

    Raises InvalidValue for an unknown exercise or a level other than 1, 2 or 3.
    """
    exercise = find_exercise(exercise_id)
    if level not in (1, 2, 3) or isinstance(level, bool):
        raise InvalidValue(f"hint levels are 1 (idea), 2 (invariant) and 3 (skeleton); got {level!r}; start with 1.")
    return Hint(exercise, level)
