"""Judging a Triton kernel through the function that launches it: right numbers, nothing else touched, no byte too many.

Every tensor of a case stands between walls (`minillm.lab.walled_memory`), the output too, so a kernel that leaves its
tensor is caught without harm to the process. Bytes, FLOPs and programs come from Triton's interpreter.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from minillm.lab.checks.call import Given, LearnerCall, LearnerFault, Outcome
from minillm.lab.checks.cases import Make, Oracle, describe, given
from minillm.lab.checks.compare import number_text, value_problem
from minillm.lab.checks.result import Finding
from minillm.lab.walled_memory import footprints, walled
from minillm.measure.counters import count

CANARY = -7.0  # what the output and its walls hold before the launch; no right answer is it


def launch_of(*inputs: Any, out: torch.Tensor) -> Given:
    """The arguments of one launch: every tensor walled in, the output last. Walls of inputs are NaN, or -1 for indices."""
    fenced = [
        walled(x, math.nan if x.is_floating_point() else -1) if isinstance(x, torch.Tensor) else x for x in inputs
    ]
    return given(*fenced, walled(torch.full_like(out, CANARY), CANARY))


@dataclass(frozen=True)
class KernelCase:
    """Judges one launch: the answer gets the inputs and `out`, fills `out` and returns it.

    `oracle` gets the inputs in float64 and returns what `out` should hold. `limits` maps "bytes_loaded", "bytes_stored",
    "flops" and "programs" to (least, most); `wide_offsets` refuses a product of integers that 32 bits cannot hold. With
    `kind_only` the numbers do not matter yet: a kernel was launched, `out` came back, the inputs were left alone.
    """

    name: str
    make: Make
    oracle: Oracle
    meaning: str
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    where: Callable[[tuple[int, ...]], str] | None = None
    wide_offsets: bool = False
    kind_only: bool = False

    def judge(self, call: LearnerCall) -> Finding | None:
        inputs = self.make()
        try:
            outcome = call.observe(inputs, lambda: observe_launches(self.wide_offsets))
        except LearnerFault as fault:
            if self.wide_offsets and "int32 overflow" in dict(fault.finding.facts).get("raised", ""):
                fault.finding = Finding(self.meaning, fault.finding.facts)
            raise
        problem = self._kind_problem(outcome, inputs)
        if problem is None and not self.kind_only:
            problem = (
                self._numbers_problem(outcome, inputs) or self._walls_problem(outcome) or self._limits_problem(outcome)
            )
        if problem is None:
            return None
        return Finding(problem.meaning, (("inputs", describe(inputs, call.names)), *problem.facts), problem.layer)

    def _kind_problem(self, outcome: Outcome, inputs: Given) -> Finding | None:
        out, got = inputs.args[-1], outcome.result
        if not isinstance(got, torch.Tensor) or _place(got) != _place(out):
            kind = "another tensor" if isinstance(got, torch.Tensor) else type(got).__name__
            return Finding("Fill `out`, and return it.", (("got", kind), ("want", "out")), "contract")
        if not outcome.counters.grids:
            return Finding("No kernel was launched: the work belongs in a Triton kernel.", (), "contract")
        edited = [name for name in outcome.edited if name != "out"]
        if edited:
            return Finding("The kernel wrote into its input.", (("edited", ", ".join(edited)),), "contract")
        return None

    def _numbers_problem(self, outcome: Outcome, inputs: Given) -> Finding | None:
        want = self.oracle(*(_wide(x) for x in inputs.args[:-1]))
        return value_problem(outcome.result, want, self.meaning, where=self.where)

    def _walls_problem(self, outcome: Outcome) -> Finding | None:
        places = footprints(outcome.result, CANARY)
        if not places:
            return None
        shown = ", ".join(map(str, places[:4])) + (" …" if len(places) > 4 else "")
        facts = (("written at", f"offsets {shown} from out's first element"), ("wrong", f"{len(places)} elements"))
        return Finding("The kernel wrote outside `out`: mask every store.", facts)

    def _limits_problem(self, outcome: Outcome) -> Finding | None:
        counters = outcome.counters
        for name, (least, most) in self.limits.items():
            used = sum(counters.grids) if name == "programs" else getattr(counters.counted, name)
            if not least <= used <= most:
                facts = (("got", f"{name} {number_text(used)}"), ("want", _bounds(least, most)))
                return Finding(self.meaning, facts)
        return None


@dataclass
class Launches:
    """What was counted during a call, and the number of programs of each launch."""

    counted: Any
    grids: list[int]


@contextmanager
def observe_launches(wide_offsets: bool = False) -> Iterator[Launches]:
    """Counters and grids of the body's launches; with `wide_offsets` an int32 product that overflows is an error.

    What a kernel raises comes out as it was raised, so that the verdict can name the kernel's own line.
    """
    from triton import knobs
    from triton.runtime.interpreter import interpreter_builder

    grids: list[int] = []
    set_grid, options = interpreter_builder.set_grid_dim, interpreter_builder.options

    def note_grid(*grid: int) -> None:
        grids.append(math.prod(grid))
        set_grid(*grid)

    interpreter_builder.set_grid_dim = note_grid
    interpreter_builder.options = dataclasses.replace(options, debug=wide_offsets)
    wrapping, knobs.compilation.front_end_debugging = knobs.compilation.front_end_debugging, True
    try:
        with count() as counted, np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NaN is for the verdict, not for stderr
            yield Launches(counted, grids)
    finally:
        interpreter_builder.set_grid_dim = set_grid
        interpreter_builder.options = options
        knobs.compilation.front_end_debugging = wrapping


def _bounds(least: float, most: float) -> str:
    if least == most:
        return f"exactly {number_text(most)}"
    if math.isinf(most):
        return f"at least {number_text(least)}"
    return f"at most {number_text(most)}" if least <= 1 else f"{number_text(least)} to {number_text(most)}"


def _place(x: torch.Tensor) -> tuple[Any, ...]:
    return x.shape, x.stride(), x.storage_offset(), x.untyped_storage().nbytes(), x.dtype


def _wide(x: Any) -> Any:
    return x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
