"""The same day under several schedulers: what the serving lab compares, as plain data and as a table.

Each policy gets the same arrivals, the same pool and the same costs of a step; only the decisions differ. Nothing here is
drawn, and nothing is measured: the clock is virtual, and its costs are from a record that is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from minillm.errors import FileProblem, InvalidType, rule_numbers_remedy, unknown_name
from minillm.lab.formatting import text_table
from minillm.measure.step_cost import StepFit, recorded_step_costs
from minillm.serving.schedule.config import CHOICES, SchedulerConfig
from minillm.serving.simulate import Simulation, simulate
from minillm.serving.watching.summary import Slo, Summary
from minillm.serving.workload import Workload, bursty, long_prompt_intruder, poisson, shared_prefix

POLICIES = CHOICES["policy"]
TRACES = ("poisson", "bursty", "shared prefix", "long-prompt intruder")
NUM_REQUESTS, BLOCK_SIZE = 20, 16


@dataclass(frozen=True)
class ScheduledDay:
    """One scheduler's day, with what it is called."""

    name: str
    simulation: Simulation
    slo: Slo

    @cached_property
    def summary(self) -> Summary:
        """Its percentiles, rates and goodput."""
        return self.simulation.summary(self.slo)

    @property
    def longest_gap(self) -> float:
        """The longest a text that was being written stood still, in seconds."""
        return 0.0 if self.summary.itl is None else self.summary.itl.largest

    @property
    def patience(self) -> float:
        """The longest gap between two tokens that nobody minds: what was promised as TPOT, or three times the median gap."""
        if self.slo.tpot is not None:
            return self.slo.tpot
        return 3 * self.summary.itl.p50 if self.summary.itl else 1.0

    @property
    def peak(self) -> float:
        """The largest share of the pool in use."""
        blocks = self.simulation.num_blocks
        return max(blocks - step.num_free_blocks for step in self.simulation.steps) / blocks


@dataclass(frozen=True)
class ComparedDays:
    """Several schedulers' days of one workload."""

    workload: Workload
    days: tuple[ScheduledDay, ...]
    slo: Slo
    source: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ScheduledDay:
        found = {day.name: day for day in self.days}
        if name not in found:
            raise unknown_name("schedule", name, found)
        return found[name]

    @property
    def end(self) -> float:
        """When the last of them was done, in seconds."""
        return max(day.simulation.duration for day in self.days)


def compare_days(
    workload: Workload,
    schedules: Mapping[str, SchedulerConfig],
    fit: StepFit,
    *,
    num_blocks: int,
    slo: Slo,
    delay: float = 0.0,
) -> ComparedDays:
    """A trace, schedulers by name, and costs -> their days. Where prompts can't be cut, a step holds the longest one.

    Raises InvalidValue for a request that the pool can never hold.
    """
    longest = max(one.num_prompt_tokens for one in workload.arrivals)
    days, raised = [], []
    for name, config in schedules.items():
        if not config.cuts_prompts and config.max_num_batched_tokens < longest:
            raised.append(name)
            config = replace(config, max_num_batched_tokens=longest)
        day = simulate(workload, config, fit.cost, num_blocks=num_blocks, block_size=BLOCK_SIZE, delay=delay)
        days.append(ScheduledDay(name, day, slo))
    note = f"With {' and '.join(raised)} prompts are not cut, so a step may hold {longest} tokens"
    return ComparedDays(workload, tuple(days), slo, fit.cost.source, (note,) if raised else ())


def trace_named(name: str, rate: float, seed: int = 0) -> Workload:
    """A trace of TRACES at so many requests a second; the intruder's chats come at once, and it comes as a second rate goes by."""
    if name == "poisson":
        return poisson(rate, NUM_REQUESTS, output=(8, 80), seed=seed)
    if name == "bursty":
        return bursty(rate, NUM_REQUESTS, output=(8, 80), seed=seed)
    if name == "shared prefix":
        return shared_prefix(rate, NUM_REQUESTS, output=(8, 80), seed=seed)
    if name == "long-prompt intruder":
        return long_prompt_intruder(at=1 / rate, seed=seed)
    raise unknown_name("trace", name, TRACES)


def schedules_of(policies: Sequence[str], budget: int, seats: int) -> dict[str, SchedulerConfig]:
    """Policies by name -> their rules, all with the same budget of tokens and seats. Raises InvalidValue for unknown ones."""
    for policy in policies:
        if policy not in POLICIES:
            raise unknown_name("policy", policy, POLICIES)
    return {
        policy: SchedulerConfig(max_num_batched_tokens=budget, max_num_seqs=seats, policy=policy)  # type: ignore[arg-type]
        for policy in policies
    }


@lru_cache(maxsize=1)
def known_costs() -> dict[str, StepFit]:
    """Every formula of a step's cost that a record gives, by name. Raises FileProblem where there is none."""
    fits = recorded_step_costs()
    if not fits:
        rule, remedy = "a virtual clock needs the costs of measured steps", "run: minillm bench serving"
        raise FileProblem(rule_numbers_remedy(rule, "no record with any", remedy))
    return fits


def fit_named(cost: str | StepFit | None) -> tuple[str, StepFit]:
    """A name in `known_costs`, the beginning of one, a fit of one's own, or None for the default -> its name, and the fit."""
    if isinstance(cost, StepFit):
        return cost.cost.source, cost
    known = known_costs()
    if cost is None:
        cost = next((name for name in known if name.startswith("llama")), next(iter(known)))
    if not isinstance(cost, str):
        raise InvalidType(
            rule_numbers_remedy("cost must be a name or a StepFit", repr(cost)[:60], f"use {list(known)}")
        )
    for name, fit in known.items():
        if name.startswith(cost):
            return name, fit
    raise unknown_name("cost", cost, known)


def table_of(data: ComparedDays) -> list[str]:
    """A row a schedule: waiting, writing, what was promised and kept, and what was wasted; times in ms."""
    head = [
        "",
        "TTFT p50",
        "p95",
        "TPOT p50",
        "p95",
        "longest gap",
        "good/s",
        "tokens/s",
        "padding",
        "KV peak",
        "preempted",
    ]
    rows = []
    for day in data.days:
        summary, simulation = day.summary, day.simulation
        pairs = [(of.p50, of.p95) if of else (0.0, 0.0) for of in (summary.ttft, summary.tpot)]
        times = [f"{1e3 * value:.0f}" for pair in pairs for value in pair]
        rows.append(
            [
                day.name, *times, f"{1e3 * day.longest_gap:.0f}", f"{summary.goodput or 0:.2f}",
                f"{summary.output_tokens_per_s:.0f}", f"{simulation.padding:.0%}", f"{day.peak:.0%}",
                str(simulation.num_preemptions),
            ]
        )  # fmt: skip
    return text_table(head, rows)


def promise_in_words(slo: Slo) -> str:
    """ "TTFT 1000 ms, TPOT 50 ms"."""
    bounds = [(name.upper(), bound) for name, bound in vars(slo).items() if bound is not None]
    return ", ".join(f"{name} {1e3 * bound:.4g} ms" for name, bound in bounds) or "nothing"
