"""Who takes part in which case, and how a case is run: load all, warm up, then round after round, each engine in its turn.

The engines of a case live side by side and take turns, so a slow minute falls on all of them, and the ratio of two engines
is taken within each round. Every text of every round is kept: speed is compared only beside the texts it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from worker_process import Turn, WorkerFailed, WorkerProcess
from workload import Request

T = TypeVar("T")
FLOOR = "F.linear"  # the contestant that is no engine


@dataclass(frozen=True)
class Contestant:
    """An engine in one of its ways. `share` > 1: it writes every so many-th request only, being slow and writing each
    text by itself, so that its speed does not depend on how many there are. `preload` names a library that
    its documentation recommends to load before anything else, if this machine has it. Who stands by for scale takes part in
    the first `rounds` only."""

    name: str
    peer: str | None  # None: this checkout's own environment
    script: str
    way: str
    dtype: str = "float32"
    share: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    preload: str | None = None
    rounds: int = 1_000

    @property
    def label(self) -> str:
        """Name and number type."""
        return f"{self.name}, {self.dtype}"


class Case(NamedTuple):
    """A checkpoint, what is asked of it, and who takes part."""

    name: str
    model: str
    requests: Sequence[Request]
    contestants: Sequence[Contestant]


@dataclass
class Result:
    """What a contestant did: the texts of its warm-up, a Turn a round, or the reason why there is none."""

    contestant: Contestant
    texts: list[list[int]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    preload: str | None = None
    reason: str | None = None
    repeats: bool = True  # every round wrote the warm-up's texts again


Start = Callable[[Contestant, int], WorkerProcess]


def run_case(
    case: Case, folder: Path, threads: int, rounds: int, start: Start, tell: Callable[[str], None] = print
) -> list[Result]:
    """Load, warm up and race -> a Result for each contestant, in order. Who fails is left out from there on, with the reason."""
    results = [Result(contestant) for contestant in case.contestants]
    with ExitStack() as workers:
        running = [(r, w) for r in results if (w := _prepared(r, case, folder, threads, start, workers, tell))]
        for number in range(rounds):
            # Every other round backwards, so that nobody always comes after the same one.
            for result, worker in running if number % 2 == 0 else reversed(running):
                if number < result.contestant.rounds:
                    _turn(result, worker, asked(result.contestant, case.requests))
            tell(f"round {number + 1}: " + "; ".join(_speeds(case, number, (r for r, _ in running))))
    return results


def asked(contestant: Contestant, requests: Sequence[T]) -> Sequence[T]:
    """Of all requests, or of what belongs to each, the part that a contestant writes."""
    return requests[:: contestant.share]


def tokens_per_second(result: Result, requests: Sequence[Request]) -> list[float]:
    """Written tokens over seconds, for each round."""
    count = sum(request.num_tokens for request in asked(result.contestant, requests))
    return [count / turn.seconds for turn in result.turns]


def _prepared(
    result: Result,
    case: Case,
    folder: Path,
    threads: int,
    start: Start,
    workers: ExitStack,
    tell: Callable[[str], None],
) -> WorkerProcess | None:
    """Start, load, and warm up on what the rounds will ask: compilers and caches are done with then."""
    one = result.contestant
    tell(f"{one.label}: loading")
    try:
        worker = workers.enter_context(start(one, threads))
        result.versions, result.preload = worker.load(folder, threads, one.dtype, one.options), worker.preload
        result.texts = worker.write(one.way, asked(one, case.requests)).tokens
        return worker
    except (WorkerFailed, OSError) as problem:
        result.reason = str(problem)
        tell(f"{one.label}: does not take part: {problem}")
        return None


def _turn(result: Result, worker: WorkerProcess, requests: Sequence[Request]) -> None:
    if result.reason is not None:
        return
    one = result.contestant
    try:
        turn = worker.write(one.way, requests)
    except WorkerFailed as problem:
        result.reason = str(problem)
        return
    result.repeats &= turn.tokens == result.texts
    result.turns.append(turn)


def _speeds(case: Case, number: int, results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        if len(result.turns) > number:
            yield f"{result.contestant.label} {tokens_per_second(result, case.requests)[number]:.0f}"
