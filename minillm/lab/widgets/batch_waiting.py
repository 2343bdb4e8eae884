"""How long should a request wait for company? One seeded crowd at a batching server, under any setting of its batcher.

The server's passes have a price, declared on the page: so much for a pass, so much for a row. Everything else follows, on a
virtual clock: who left with whom, how long each waited, and how much of the server's time was spent on passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.batching_day import BatchingDay, PassCost, play, poisson_arrivals
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.batch_picture import draw_waiting
from minillm.serving import DynamicBatcher, DynamicBatcherConfig

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

RATES = (25, 50, 100, 200, 300, 500, 800, 1200)
DELAYS = (0, 1, 2, 5, 10, 20, 40)
MOST, CROWD = 16, 600
COST = PassCost(4000, 500)
PREFERRED = {"full batches": (), "4": (4,), "8": (8,), "4 or 8": (4, 8)}
ALLOWED = {"any": (), "1, 2, 4, 8, 16": (1, 2, 4, 8, 16), "4, 16": (4, 16), "16 only": (16,)}


@dataclass(frozen=True)
class Waiting:
    """One setting, and the day it makes: `rate` requests a second, `delay` ms, names in PREFERRED and ALLOWED."""

    rate: int
    delay: int
    preferred: str
    allowed: str
    instances: int

    @cached_property
    def day(self) -> BatchingDay:
        """The crowd under this setting."""
        return self._played(self.delay)

    @cached_property
    def no_delay(self) -> BatchingDay:
        """The same crowd, and everybody leaves as soon as an instance is free."""
        return self._played(0)

    def _played(self, delay: int) -> BatchingDay:
        config = DynamicBatcherConfig(
            max_batch_size=MOST,
            max_queue_delay_microseconds=1000 * delay,
            preferred_batch_size=PREFERRED[self.preferred],
            allowed_batch_sizes=ALLOWED[self.allowed],
            num_batch_threads=self.instances,
        )
        return play(DynamicBatcher(config), poisson_arrivals(self.rate, CROWD), COST, instances=self.instances)


def batching_explorer(rate: int = 300, *, delay: int = 10) -> Panel | Still:
    """Requests a second, and how many ms the oldest waits -> a widget: a timeline of requests and batches, and what it cost.

    Raises InvalidValue for a rate or a delay that the widget does not offer. After Triton's dynamic batcher.
    """
    return show(explore_batching(rate, delay=delay))


def explore_batching(rate: int = 300, *, delay: int = 10) -> Explorer[Waiting]:
    """The same without the controls: `.data(rate=800)`, `.text(delay=0)`, `.still(preferred="4 or 8")`."""
    for name, value, known in (("rate", rate, RATES), ("delay", delay, DELAYS)):
        if value not in known or isinstance(value, bool):
            rule = f"{name} must be one of {', '.join(map(str, known))}"
            raise InvalidValue(rule_numbers_remedy(rule, repr(value), f"try {known[len(known) // 2]}"))
    controls = (
        Steps("rate", "Arrivals", "requests a second", RATES, rate),
        Steps("delay", "Queue delay", "ms", DELAYS, delay),
        Choice("preferred", "Preferred sizes", "requests", tuple(PREFERRED), "full batches"),
        Choice("allowed", "Allowed sizes", "rows", tuple(ALLOWED), "any"),
        Slider("instances", "Instances", "batches at once", 1, 3, 1, 1),
    )

    def compute(state: State) -> Waiting:
        return Waiting(**{**state, "instances": int(state["instances"])})

    return Explorer("How long should a request wait for company?", controls, compute, draw_waiting, describe_waiting)


def describe_waiting(data: Waiting) -> str:
    """The setting, waiting times beside those without a delay, batches, padding and the busy share, in numbers."""
    many = f"{data.instances} instance{'s' * (data.instances > 1)}"
    rows = []
    for name, day in ((f"waits {data.delay} ms", data.day), ("waits 0 ms", data.no_delay)):
        cells = [f"{day.percentile(share):.1f}" for share in (50, 95, 99)]
        rows.append(
            [name, *cells, f"{day.mean_batch:.1f}", str(len(day.batches)), f"{day.padding:.0%}", f"{day.busy:.0%}"]
        )
    names = ["the oldest", "p50 ms", "p95 ms", "p99 ms", "batch", "passes", "padding", "busy"]
    return "\n".join(
        [
            f"{CROWD} requests, {data.rate} a second, at most {MOST} in a batch, {many}; preferred: {data.preferred}; allowed: {data.allowed}",
            *figures.text_table(names, rows if data.delay else rows[:1]),
            f"A pass takes {COST.fixed_us / 1000:g} ms and {COST.row_us / 1000:g} ms a row: declared, not measured.",
        ]
    )
