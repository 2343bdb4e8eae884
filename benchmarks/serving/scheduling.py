"""What deciding costs: seconds the scheduler takes for one step of many texts, however many others wait.

No model runs. Texts that write fill every seat, so those that wait only wait; a step is `schedule` and `update`, with a token
for each text. The scheduler is the engine's, with its prefix cache, which hashes a block whenever one becomes full.
"""

from __future__ import annotations

import time

import numpy as np

from minillm.cache import BlockPool, PrefixCache
from minillm.measure import Measurement
from minillm.serving.request import Request
from minillm.serving.scheduler import Scheduler, SchedulerConfig

RUNNING, WAITING = 256, (0, 1_000, 10_000)
BLOCK_SIZE, PROMPT, OUTPUT = 16, 16, 1_000
PROMISED = 1e-3  # seconds a step


def scheduling_steps(*, quick: bool = False) -> list[Measurement]:
    """Seconds a step with 256 texts running, by how many wait."""
    crowds = [crowded(waiting) for waiting in WAITING]
    times: list[list[float]] = [[] for _ in crowds]
    for _ in range(50 if quick else 400):
        for scheduler, taken in zip(crowds, times, strict=True):  # in turn, so that a busy moment falls on all
            taken.append(one_step(scheduler))
    return [_row(waiting, taken) for waiting, taken in zip(WAITING, times, strict=True)]


def crowded(waiting: int) -> Scheduler:
    """A scheduler with every seat taken by a text that writes, and so many requests in line."""
    pool = BlockPool(RUNNING * -(-(PROMPT + OUTPUT) // BLOCK_SIZE), BLOCK_SIZE)
    config = SchedulerConfig(max_num_batched_tokens=RUNNING * PROMPT, max_num_seqs=RUNNING)
    scheduler = Scheduler(pool, config, prefix=PrefixCache(pool))
    for number in range(RUNNING + waiting):
        prompt = [1 + (number * PROMPT + place) % 50_000 for place in range(PROMPT)]
        scheduler.add(Request(str(number), prompt, max_tokens=OUTPUT))
    one_step(scheduler)
    assert (scheduler.num_running, scheduler.num_waiting) == (RUNNING, waiting)
    return scheduler


def one_step(scheduler: Scheduler) -> float:
    """Schedule a step and update it with a token for each text -> the seconds both took."""
    start = time.perf_counter()
    output = scheduler.schedule()
    chosen = time.perf_counter()
    tokens = {share.request.request_id: (7,) for share in output.shares if share.samples}
    told = time.perf_counter()
    scheduler.update(output, tokens)
    return time.perf_counter() - told + chosen - start


def in_words(row: Measurement) -> str:
    """One line for a row, beside what is promised."""
    name = f"scheduling, {row.shape['B']} running, {row.options['waiting']:,} waiting"
    return f"{name}: {1e3 * row.p50:.3f} ms a step (promised: less than {1e3 * PROMISED:.0f} ms)"


def _row(waiting: int, taken: list[float]) -> Measurement:
    p20, p50, p80 = np.quantile(taken, (0.2, 0.5, 0.8)).tolist()
    return Measurement(
        operator="scheduling", backend="Scheduler", dtype="int64", shape={"B": RUNNING, "P": BLOCK_SIZE},
        p20=p20, p50=p50, p80=p80, runs=len(taken), options={"waiting": waiting, "policy": "budget"},
    )  # fmt: skip
