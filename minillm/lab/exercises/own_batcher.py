"""The exercise 12.batcher: a dynamic batcher for a virtual clock, judged by walks beside the package's own.

Most cases are short walks that a reader can follow; the properties are twenty drawn days, and what a long line may cost.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.batcher_walk import Walk, law, said

PATIENCE_S = 3  # for what takes a right answer some hundredths


def _case(name: str, meaning: str, work: Callable[[Walk], object]) -> Property:
    return Property(name, law(work), meaning)


def _wander(walk: Walk, draw: random.Random) -> None:
    for _ in range(120):
        step = draw.random()
        if step < 0.45:
            walk.come(draw.randint(1, 3), level=draw.choice((1, 2, 2)), timeout=draw.choice((None, None, 300, 2500)))
        elif step < 0.7:
            walk.done()
        elif step < 0.75:
            walk.later(draw.choice((1, 400)))
        elif step < 0.85:
            walk.wait(draw.choice((0, 1, 100, 700)))
        else:
            walk.sleep()
    walk.drain()


def _days(call: LearnerCall) -> Finding | None:
    for seed in range(20):
        draw = random.Random(seed)
        sizes = {"most": draw.randint(1, 6), "delay": draw.choice((0, 500, 2000)), "room": draw.randint(2, 12)}
        if finding := law(lambda walk, draw=draw: _wander(walk, draw), **sizes)(call):  # type: ignore[misc]
            return finding
    return None


def _seconds(call: LearnerCall, waiting: int) -> float:
    """A hundred batches and as many arrivals, with so many waiting all the time; infinity when it takes too long to see."""
    batcher = call(4, 1000, 2 * waiting + 100, list[Any]().append)
    begin = time.perf_counter()
    for name in range(waiting):
        batcher.submit(name, 0, level=1 + name % 2)
        if time.perf_counter() - begin > PATIENCE_S:
            return math.inf
    start = time.perf_counter()
    for now in range(100):
        if time.perf_counter() - start > PATIENCE_S:
            return math.inf
        batch = batcher.poll(now)
        for _ in range(4):
            batcher.submit("new", now)
        batcher.complete(batch, now, [None] * 4)
    return time.perf_counter() - start


def _long_line(call: LearnerCall) -> Finding | None:
    few = min(_seconds(call, 500) for _ in range(5))
    many = _seconds(call, 16_000)
    if many == math.inf:
        return Finding(
            "", (("with 16 000 waiting", f"a hundred batches, or to let them in, took over {PATIENCE_S} s"),)
        )
    many = min(many, *(_seconds(call, 16_000) for _ in range(4)))
    if many > 8 * few:
        return Finding("", (("a hundred batches", f"{many / few:.0f} times as long with 16 000 waiting as with 500"),))
    return None


def _methods(call: LearnerCall) -> Finding | None:
    batcher = call(2, 1000, 10, lambda request: None)
    missing = [name for name in ("submit", "poll", "complete") if not callable(getattr(batcher, name, None))]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    if (got := batcher.poll(0)) is not None:
        return Finding("", (("got", said(got)), ("want", "None while nobody waits")))
    return None


BATCHER = Exercise(
    id="12.batcher",
    title="A dynamic batcher",
    statement=(
        "submit(request, now, level=2, timeout=None) lets a request wait; it raises ValueError if max_waiting wait already. poll(now) "
        "returns a list of requests, which leave to be computed; or the time at which the answer will be another by itself; or None. "
        "One batch is computed at a time, until complete(batch, now, results). Level 1 goes before level 2, each in order of arrival. "
        "A batch leaves when max_batch_size wait, or when the oldest of those who would leave has waited for delay. Whoever still waits "
        "timeout after it came is turned away: reject(request), once, at the latest by the first call to poll from then on, busy or "
        "not. From the moment its time is over it takes up no room, even if nobody has polled since. Neither submit nor poll may walk the line."
    ),
    signature="Batcher(max_batch_size, delay, max_waiting, reject)",
    layers={
        "contract": (Property("has the methods", _methods, "A batcher has submit, poll and complete, and an empty one has nothing to say."),),
        "values": (
            _case("the oldest waits", "The delay runs from the arrival of the oldest, whenever it is asked.",
                  lambda w: w.come().wait(300).come().wait(600).sleep()),
            _case("a full batch", "A full batch leaves at once, and at most a full batch.", lambda w: w.come(3).come(3).done().sleep()),
            _case("while the model is busy", "Nobody leaves while a batch is being computed, and nothing happens by itself.",
                  lambda w: w.come(4).come(3).wait(5000).done()),
            _case("overdue when it gets free", "Who waited long enough while the model was busy leaves when it is free.",
                  lambda w: w.come(4).wait(10).come().wait(400).come().wait(700).done().drain()),
            _case("a new oldest", "When the oldest have left, the next one's own arrival counts.", lambda w: w.come(3).wait(400).come(2).done().wait(10).sleep()),
            _case("level 1 first", "Level 1 goes first, and takes level 2 along.", lambda w: w.come(4).come(3).come(2, level=1).done().drain()),
            _case("the oldest of all", "With levels, the first in line need not be the oldest.", lambda w: w.come().wait(600).come(level=1).sleep()),
            _case("time runs out", "At its timeout a request is turned away, once.", lambda w: w.come(timeout=300).come().sleep().sleep().drain()),
            _case("time runs out while busy", "The model's being busy does not stop the clock.",
                  lambda w: w.come(4).come(timeout=300).come(timeout=200).sleep().sleep().done().drain()),
            _case("left in time", "A request that has left cannot be turned away.", lambda w: w.come(4, timeout=300).wait(2000).done().drain()),
            _case("a full line", "At most ten wait.", lambda w: w.come(4).come(11).done().come(5).drain()),
            _case("the late make room", "Whoever is turned away takes up no room.", lambda w: w.come(4).come(10, timeout=300).later(300).come(10).done().drain()),
        ),
        "properties": (Property("twenty days", _days, "Twenty days of arrivals, levels, timeouts and passes, beside the package's batcher."),),
        "resources": (Property("a long line", _long_line, "What submit and poll cost must not depend on how many wait: walk no line, search no list."),),
    },
    hints=(
        "Two lines, one a level, each in order of arrival. A request knows when it came and when its time is over.",
        "Those who would leave are the first max_batch_size of level 1, then level 2. They leave if they are that many, or if now is at "
        "least the earliest arrival among them + delay. The time to ask again is the smaller of that and the next timeout.",
        "poll: first turn away all whose timeout is at most now (a heap of timeouts finds them; skip those that have left)\n"
        "      if busy or nobody waits: return the next timeout, or None\n"
        "      front = the first max_batch_size of both lines; due = min(arrival of front) + delay\n"
        "      if len(front) == max_batch_size or now >= due: take them out; busy = True; return them\n"
        "      return the smaller of due and the next timeout",
    ),
    solution="minillm/serving/dynamic_batcher.py, and notebooks/solutions/lesson_12.py: Batcher",
    time_limit_s=30.0,
)  # fmt: skip
