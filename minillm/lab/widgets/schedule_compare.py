"""Who waits for whom? One trace under several schedulers, side by side, on a virtual clock.

The arrivals, the pool and the cost of a step are the same for all; only the decisions differ. So whatever the picture shows,
a text that stands still, a prompt that waits behind others, rows computed for nobody, is the scheduler's doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minillm.errors import InvalidType, rule_numbers_remedy, unknown_name
from minillm.lab.widgets.base import Choice, Explorer, State, Steps, Still, show
from minillm.lab.widgets.schedule_days import (
    BLOCK_SIZE,
    POLICIES,
    TRACES,
    ComparedDays,
    compare_days,
    fit_named,
    known_costs,
    promise_in_words,
    schedules_of,
    table_of,
    trace_named,
)
from minillm.lab.widgets.schedule_picture import draw_schedules
from minillm.measure.step_cost import StepFit
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.watching.summary import Slo
from minillm.serving.workload import Workload

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
BUDGETS = (16, 32, 64, 128, 256, 512, 1024, 2048)
SEATS = (1, 2, 4, 8, 16, 32)
DELAYS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
POOLS = (64, 96, 128, 192, 256, 512)
YOURS = "yours"
SLO = Slo(ttft=1.0, tpot=0.05)
Schedules = Sequence[str] | Mapping[str, SchedulerConfig]


def compare_schedules(
    trace: str | Workload = "poisson",
    schedules: Schedules = POLICIES,
    *,
    rate: float = 8.0,
    max_num_batched_tokens: int = 64,
    max_num_seqs: int = 8,
    num_blocks: int = 96,
    delay: float = 0.0,
    slo: Slo = SLO,
    cost: str | StepFit | None = None,
    seed: int = 0,
) -> Panel | Still:
    """A trace and schedulers -> a widget: every request's life and every step's work under each, and what readers feel.

    trace       "poisson", "bursty", "shared prefix" or "long-prompt intruder", drawn from `seed`; or a Workload of your own
    schedules   policies by name, which share the budget and the seats of the controls; or SchedulerConfigs by name
    rate        requests a second; the intruder comes after 1 / rate seconds
    delay       seconds that a static batch waits for company
    slo         what is promised to every request: goodput counts those for whom all of it was kept
    cost        the beginning of a name in the list of costs, or a StepFit of your own; None for the first Llama in it

    Raises InvalidType or InvalidValue for what none of these is, and for a request that the pool can never hold.
    """
    return show(
        explore_schedules(
            trace, schedules, rate=rate, max_num_batched_tokens=max_num_batched_tokens, max_num_seqs=max_num_seqs,
            num_blocks=num_blocks, delay=delay, slo=slo, cost=cost, seed=seed,
        )
    )  # fmt: skip


def explore_schedules(
    trace: str | Workload = "poisson",
    schedules: Schedules = POLICIES,
    *,
    rate: float = 8.0,
    max_num_batched_tokens: int = 64,
    max_num_seqs: int = 8,
    num_blocks: int = 96,
    delay: float = 0.0,
    slo: Slo = SLO,
    cost: str | StepFit | None = None,
    seed: int = 0,
) -> Explorer[ComparedDays]:
    """The same without the controls: `.data(rate=8.0)["budget"].summary`, `.text(budget=32)`, `.still(seats=4)`."""
    _require(trace, schedules, slo)
    name, fit = fit_named(cost)
    fits = {name: fit} if isinstance(cost, StepFit) else known_costs()
    own = isinstance(trace, Workload)
    controls: list[Steps] = [
        Choice("trace", "Trace", "", (YOURS, *TRACES) if own else TRACES, YOURS if own else trace,
               (trace.name, *TRACES) if isinstance(trace, Workload) else ()),
        _steps("rate", "Rate", "requests/s", RATES, rate),
        _steps("budget", "Budget", "tokens a step", BUDGETS, max_num_batched_tokens),
        _steps("seats", "Batch size", "texts at most", SEATS, max_num_seqs),
        _steps("delay", "Delay", "s, static batches", DELAYS, delay),
        _steps("blocks", "Pool", f"blocks of {BLOCK_SIZE} tokens", POOLS, num_blocks),
        Choice("cost", "A step costs", "", tuple(fits), name),
    ]  # fmt: skip
    if isinstance(schedules, Mapping):  # they have budgets and seats of their own
        controls = [control for control in controls if control.name not in ("budget", "seats")]

    def compute(state: State) -> ComparedDays:
        given = trace if state["trace"] == YOURS else ""
        workload = given if isinstance(given, Workload) else trace_named(state["trace"], state["rate"], seed)
        rules = schedules
        if not isinstance(rules, Mapping):
            rules = schedules_of(rules, state["budget"], state["seats"])
        fit = fits[state["cost"]]
        return compare_days(workload, rules, fit, num_blocks=state["blocks"], slo=slo, delay=state["delay"])

    return Explorer("Schedules compared", controls, compute, draw_schedules, describe_schedules)


def describe_schedules(data: ComparedDays) -> str:
    """The trace, a row a schedule with times in milliseconds, what was promised, and whose clock it is."""
    return "\n".join(
        [
            f"{data.workload!r}",
            *table_of(data),
            f"  times in ms; good: requests that met {promise_in_words(data.slo)}; padding: rows computed for nobody",
            *(f"  {note}" for note in data.notes),
            f"  virtual clock: steps cost what they cost {data.source}",
        ]
    )


def _steps(name: str, label: str, unit: str, options: tuple, value: float) -> Steps:
    """The listed values, and the one that was asked for where it belongs."""
    listed = tuple(sorted({*options, value}))
    return Steps(name, label, unit, listed, value, tuple(f"{option:g}" for option in listed))


def _require(trace: object, schedules: object, slo: object) -> None:
    if not isinstance(trace, Workload) and trace not in TRACES:
        raise unknown_name("trace", trace, TRACES)
    if isinstance(schedules, str) or not isinstance(schedules, Mapping | Sequence) or not schedules:
        rule = "schedules must be policies in a list, or SchedulerConfigs by name"
        raise InvalidType(rule_numbers_remedy(rule, repr(schedules)[:60], f"use {list(POLICIES)}"))
    if isinstance(schedules, Mapping):
        for config in schedules.values():
            if not isinstance(config, SchedulerConfig):
                rule = "schedules by name must be SchedulerConfigs"
                raise InvalidType(rule_numbers_remedy(rule, repr(config)[:60], "make one"))
    else:
        schedules_of(schedules, 1, 1)
    if not isinstance(slo, Slo):
        raise InvalidType(rule_numbers_remedy("slo must be an Slo", repr(slo), "use Slo(ttft=1.0, tpot=0.05)"))
