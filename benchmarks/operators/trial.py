"""One case from data to rows: make fresh operands, hold every contestant to float64, time those that are right.

A contestant that is wrong, refuses or cannot run costs its own row and nobody else's: it is recorded with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cache_writes
import decode_attention
import dense_attention
import matrix_product
import packed_attention
import paged_reads
import row_softmax
import torch
from plan import Case
from truth import Errors, Sample, require_right

import minillm as ml
from minillm.measure import Measurement, Timing, Untimed, compare_calls, time_call
from minillm.measure.gpu_bench import CudaClock, cache_bytes, copies_needed, make_runner, take_turns

Call = Callable[[], object]


@dataclass(frozen=True)
class Operator:
    """How an operator is tried: its operands, a contestant's call on them, the truth, and (FLOPs, bytes)."""

    operands: Callable[..., tuple[torch.Tensor | None, ...]]
    call: Callable[..., Call]
    truth: Callable[..., list[Sample]]
    price: Callable[[Case, int], tuple[int | None, int]]


_DENSE, _PACKED, _ROWS, _PRODUCT = dense_attention, packed_attention, row_softmax, matrix_product
_DECODE, _PAGED, _WRITES = decode_attention, paged_reads, cache_writes
OPERATORS = {
    "attention": Operator(_DENSE.operands, _DENSE.forward_call, _DENSE.forward_truth, _DENSE.forward_cost),
    "attention_backward": Operator(_DENSE.operands, _DENSE.backward_call, _DENSE.backward_truth, _DENSE.backward_cost),
    "attention_varlen": Operator(_PACKED.operands, _PACKED.call, _PACKED.truth, _PACKED.price),
    "flash_decode": Operator(_DECODE.operands, _DECODE.call, _DECODE.truth, _DECODE.price),
    "paged_decode": Operator(_PAGED.operands, _PAGED.call, _PAGED.truth, _PAGED.price),
    "paged_prefill": Operator(_PAGED.operands, _PAGED.call, _PAGED.truth, _PAGED.price),
    "kv_write": Operator(_WRITES.write_operands, _WRITES.write_call, _WRITES.write_truth, _WRITES.write_price),
    "rotary_write": Operator(_WRITES.rotary_operands, _WRITES.rotary_call, _WRITES.rotary_truth, _WRITES.rotary_price),
    "softmax": Operator(_ROWS.operands, _ROWS.call, _ROWS.truth, _ROWS.price),
    "matmul": Operator(_PRODUCT.operands, _PRODUCT.call, _PRODUCT.truth, _PRODUCT.price),
}


class Stopwatch:
    """How a device times right answers: `prepare` one contestant's calls, which may fail, then `race` those prepared."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def prepare(self, calls: Sequence[Call]) -> Any:
        raise NotImplementedError

    def race(self, prepared: Mapping[str, Any]) -> Mapping[str, Timing]:
        raise NotImplementedError


class ProcessorWatch(Stopwatch):
    """On a processor: one call each, in turns, for about `seconds`."""

    def prepare(self, calls: Sequence[Call]) -> Call:
        return calls[0]

    def race(self, prepared: Mapping[str, Call]) -> Mapping[str, Timing]:
        if len(prepared) > 1:
            return compare_calls(prepared, min_seconds=self.seconds, rounds=5).timings
        return {name: time_call(call, min_seconds=self.seconds, label=name) for name, call in prepared.items()}


class GpuWatch(Stopwatch):
    """On a GPU: by its own clock, in turns, through graphs where launching would dominate."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.clock = CudaClock()

    def prepare(self, calls: Sequence[Call]) -> Any:
        return make_runner(calls, self.clock)

    def race(self, prepared: Mapping[str, Any]) -> Mapping[str, Timing]:
        return take_turns(prepared, self.clock, min_seconds=self.seconds)


def try_case(case: Case, device: str, watch: Stopwatch, seed: int) -> tuple[list[Measurement], list[Untimed]]:
    """A case -> a row for each contestant that is right, and a reason for each that was not timed."""
    operator = OPERATORS[case.operator]
    flops, bytes_moved = operator.price(case, getattr(torch, case.dtype).itemsize)
    trial = Trial({name: reason for name in case.contestants if (reason := why_not(name))})
    try:
        random = torch.Generator(device).manual_seed(seed)
        copies = [operator.operands(case, random) for _ in range(copies_needed(bytes_moved, cache_bytes(device)))]
        samples = operator.truth(case, copies[0], random)
        for name in case.contestants:
            if name not in trial.refused:
                trial.enter(
                    name, lambda name=name: [operator.call(case, name, *o) for o in copies], samples, case, watch
                )
        timings = watch.race(trial.prepared) if trial.prepared else {}
    except Exception as problem:  # out of memory, or a GPU that a kernel has brought down: nobody was timed
        timings = {}
        trial.refused = dict.fromkeys(case.contestants, told(problem)) | trial.refused
    rows = _rows(timings, trial.checked, facts(case) | dict(flops=flops, bytes_moved=bytes_moved))
    return rows, [Untimed(backend=name, reason=reason, **facts(case)) for name, reason in trial.refused.items()]


@dataclass
class Trial:
    """Where each contestant of a case stands: `refused` with a reason, or `checked` and `prepared` for the race."""

    refused: dict[str, str]
    checked: dict[str, Errors] = field(default_factory=dict)
    prepared: dict[str, Any] = field(default_factory=dict)

    def enter(
        self, name: str, make: Callable[[], list[Call]], samples: list[Sample], case: Case, watch: Stopwatch
    ) -> None:
        """Make a contestant's calls, hold the first one's answer to the truth, and prepare them, or write down why not."""
        try:
            calls = make()
            self.checked[name] = require_right(calls[0](), samples, case.dtype)
            self.prepared[name] = watch.prepare(calls)
        except Exception as problem:  # a wrong answer, or a library that refuses a shape, in whatever words it has
            self.refused[name] = told(problem)


def facts(case: Case) -> dict[str, Any]:
    """What every row of a case says alike."""
    return dict(operator=case.operator, dtype=case.dtype, shape=dict(case.shape), options=dict(case.options))


def left_out(case: Case, reason: str) -> tuple[list[Measurement], list[Untimed]]:
    """No row, and the same reason for every contestant."""
    return [], [Untimed(backend=name, reason=reason, **facts(case)) for name in case.contestants]


def why_not(name: str) -> str | None:
    """The reason why a contestant cannot be timed on this machine at all, if there is one."""
    if not name.startswith("triton"):
        return None
    here = ml.kernels.mode()
    return {"gpu": None, "interpreter": "interpreted: not timed"}.get(here.name, f"absent: {here.why}")


def told(problem: BaseException) -> str:
    """A problem in one line, without the paths that some libraries put into theirs: a record holds none."""
    lines = str(problem).strip().splitlines() or ["no further word"]
    plain = re.sub(r"(?:[A-Za-z]:\\|~|/)[^\s\"']*", "…", f"{type(problem).__name__}: {lines[0]}")
    return plain[:200]


def _rows(timings: Mapping[str, Timing], checked: Mapping[str, Errors], shared: dict[str, Any]) -> list[Measurement]:
    library = {name: timing.p50 for name, timing in timings.items() if name.startswith("torch")}
    best = min(library, key=library.__getitem__, default=None)
    return [
        Measurement(
            backend=name, p20=t.p20, p50=t.p50, p80=t.p80, runs=t.runs,
            max_error=checked[name].largest, rms_error=checked[name].rms,
            best_torch=best, ratio_to_torch=library[best] / t.p50 if best else None, **shared,
        )
        for name, t in timings.items()
    ]  # fmt: skip
