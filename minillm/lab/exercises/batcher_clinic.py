"""The clinic of lesson 12: a batcher that counts from the wrong moment, sleeps through its bell and keeps a request it can never serve.

A day in the hall is deterministic, so when each batch must leave is known to the microsecond: the package's own batcher, with
tokens for rows, says it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from minillm.errors import InvalidType, InvalidValue
from minillm.lab.batch_hall import TURNS_EACH, open_hall
from minillm.lab.batching_day import BatchingDay, PassCost, play
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.serving import DynamicBatcher, DynamicBatcherConfig

BUDGET, DELAY = 8, 1000
COST = PassCost(2000, 100)
Arrivals = Sequence[tuple[float, int]]


def right_day(arrivals: Arrivals, budget: int, delay: int) -> BatchingDay:
    """The day as it should be: (time, tokens) of each request."""
    config = DynamicBatcherConfig(max_batch_size=budget, max_queue_delay_microseconds=delay)
    sizes = [tokens for _, tokens in arrivals]
    return play(DynamicBatcher(config), [now for now, _ in arrivals], COST, options=lambda n: {"size": sizes[n]})


def _compare(call: LearnerCall, arrivals: Arrivals, budget: int, delay: int, turns: int) -> Finding | None:
    came = (
        "arrivals",
        ", ".join(f"{now:g} µs: {tokens}" for now, tokens in arrivals[:8]) + ", …" * (len(arrivals) > 8),
    )
    try:
        day = open_hall(lambda hall: call(hall, budget, delay), arrivals, COST, turns_each=turns)
    except (InvalidValue, InvalidType) as broken:
        return Finding("", (came, ("what", str(broken))))
    want = right_day(arrivals, budget, delay)
    for got_one, want_one in zip(day.requests, want.requests, strict=True):
        if (got_one.refused, got_one.started) != (want_one.refused, want_one.started):
            facts = (came, ("request", str(got_one.number)), ("got", _said(got_one)), ("want", _said(want_one)))
            return Finding("", facts)
    return None


def _said(one) -> str:  # type: ignore[no-untyped-def]
    if one.refused:
        return "refused when it came"
    return "never computed" if one.started is None else f"leaves at {one.started:g} µs"


def _case(name: str, meaning: str, *arrivals: tuple[float, int]) -> Property:
    return Property(name, lambda call: _compare(call, arrivals, BUDGET, DELAY, TURNS_EACH), meaning)


def _days(call: LearnerCall) -> Finding | None:
    for seed in range(30):
        draw = random.Random(seed)
        budget, delay, now, arrivals = draw.randint(2, 12), draw.choice((0, 700, 3000)), 0, []
        for _ in range(40):
            now += draw.choice((0, 0, 50, 400, 900, 5000))
            arrivals.append((now, draw.randint(1, budget + 1)))
        if finding := _compare(call, arrivals, budget, delay, TURNS_EACH):
            return Finding("", (("budget, delay", f"{budget} tokens, {delay} µs"), *finding.facts))
    return None


def _quiet(call: LearnerCall) -> Finding | None:
    arrivals = [(50_000 * n + 130 * k, 1 + k) for n in range(10) for k in range(2)]
    return _compare(call, arrivals, BUDGET, 20_000, 6)


def _methods(call: LearnerCall) -> Finding | None:
    made: list[object] = []

    def make(hall: object) -> object:
        made.append(call(hall, BUDGET, DELAY))
        return made[0]

    try:
        open_hall(make, [(0, 1)], COST)
    except AttributeError:
        missing = [name for name in ("submit", "work") if not callable(getattr(made[0], name, None))] if made else []
        if not missing:
            raise
        return Finding("", (("missing", ", ".join(missing)),))
    except (InvalidValue, InvalidType) as broken:
        return Finding("", (("what", str(broken)),))
    return None


Law = Callable[[LearnerCall], Finding | None]

CLINIC = Exercise(
    id="12.clinic",
    title="Clinic: the clerk who sleeps through the bell",
    statement=(
        "Mend the patient. submit(request) refuses what exceeds the budget of tokens, with a ValueError. A batch leaves when the server is "
        "free and either the next request no longer fits or the budget is reached exactly, or the oldest in it came `delay` microseconds "
        "ago; it holds as many from the front of the queue as fit. Nothing leaves later than that, nobody is forgotten, and a server with "
        "nothing to do sleeps."
    ),
    signature="Mended(hall, budget, delay)",
    layers={
        "contract": (Property("has the methods", _methods, "A server has submit(request) and the generator work(), which yields what the hall offers."),),
        "values": (
            _case("one alone", "One request leaves when its delay is over: it worked before.", (0, 1)),
            _case("three in time", "Those who come before the delay is over go along: it worked before.", (0, 1), (300, 2), (900, 1)),
            _case("the oldest counts", "The second came while the first was being computed, and has waited longer than the delay when the model is free: it leaves then.", (0, 1), (1500, 1), (9000, 1)),
            _case("nobody else comes", "The second came while the first was being computed. Nobody comes after it to ring again.", (0, 1), (1500, 1)),
            _case("waits a part", "The second came shortly before the model was free: the rest of its delay is left.", (0, 1), (2900, 1)),
            _case("full", "The budget is reached: there is nothing to wait for.", (0, 4), (100, 4), (200, 1)),
            _case("the next does not fit", "The third does not fit any more, so the first two leave.", (0, 4), (100, 3), (200, 2)),
            _case("too long for any batch", "A request above the budget can never be served: say so when it comes, or it blocks all behind it.", (0, 9), (10, 1), (5000, 2)),
            _case("exactly the budget", "A request that fills the budget is not too long.", (0, 8), (10, 8)),
            _case("a second burst", "Several batches wait when the model is free: none may be forgotten.", (0, 8), (100, 5), (200, 5), (300, 5)),
        ),
        "properties": (Property("days at random", _days, "Thirty days of short and long requests, beside the package's batcher."),),
        "resources": (Property("a quiet day", _quiet, "With nothing to do a server sleeps until the bell, or until the oldest is due; it does not look again and again."),),
    },
    hints=(
        "Three faults. From when does the delay run? What happens to a bell that rings while the model is at work? Who is at the head of "
        "the queue when nothing fits?",
        "Put the bell down first and look at the queue afterwards: then whatever comes later rings it again. The delay runs from "
        "queue[0].arrived. What can never fit is refused in submit.",
        "while True:\n    hall.bell = False\n    take from the front what fits; is somebody left behind it, or the budget reached, or hall.now >= queue[0].arrived + delay?\n"
        "    yes: remove them from the queue and yield hall.compute(batch)\n    no:  yield hall.listen(the rest of the delay, or nothing if nobody waits)",
    ),
    solution="notebooks/solutions/lesson_12.py: Mended",
    time_limit_s=20.0,
)  # fmt: skip
