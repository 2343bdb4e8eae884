"""How large is a piece? The budget of a step against what two kinds of reader feel: those who chat, and who sent a long prompt.

Small steps keep the chats smooth and let the long prompt wait, large ones the other way round. Each point is a day of the
real scheduler on a virtual clock; the budget to choose is the largest that keeps the promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.schedule_days import fit_named, known_costs
from minillm.measure.step_cost import StepFit
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.simulate import Simulation, simulate
from minillm.serving.workload import long_prompt_intruder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel

BUDGETS = (16, 32, 64, 128, 256, 512, 1024, 2048)
PROMPTS = (128, 256, 512, 768, 1024)
PROMISES = (20, 30, 50, 80, 100, 150, 200, 300, 500)


@dataclass(frozen=True)
class ChunkDay:
    """A day at one budget: the longest and the usual gap of the chats, the long prompt's first token (s), and its pieces."""

    budget: int
    longest: float
    usual: float
    first: float
    pieces: int


@dataclass(frozen=True)
class ChunkDays:
    """Days of `chats` texts and a prompt of `prompt` tokens, by budget, and what was promised to the chats (s)."""

    chats: int
    prompt: int
    promised: float
    source: str
    days: tuple[ChunkDay, ...]

    @property
    def chosen(self) -> ChunkDay | None:
        """The largest budget whose gaps are all in time; None if there is none."""
        return max((day for day in self.days if day.longest <= self.promised), key=lambda day: day.budget, default=None)


def chunk_explorer(cost: str | StepFit | None = None) -> Panel | Still:
    """Whose steps, as for `compare_schedules` -> a widget: gaps and first tokens against the budget, and which one to choose."""
    return show(explore_chunks(cost))


def explore_chunks(cost: str | StepFit | None = None) -> Explorer[ChunkDays]:
    """The same without the controls: `.data(chats=12)`, `.text(promised=50)`, `.still(prompt=1024)`."""
    name, fit = fit_named(cost)
    fits = {name: fit} if isinstance(cost, StepFit) else known_costs()
    controls = (
        Slider("chats", "Chats", "being written", 1, 16, 1, 6),
        Steps("prompt", "Long prompt", "tokens", PROMPTS, 768),
        Steps("promised", "Promised", "ms between tokens", PROMISES, 100),
        Choice("cost", "A step costs", "", tuple(fits), name),
    )

    def compute(state: State) -> ChunkDays:
        return chunk_days(int(state["chats"]), state["prompt"], state["promised"] / 1000, fits[state["cost"]])

    return Explorer("Chunk explorer", controls, compute, draw_chunks, describe_chunks)


def chunk_days(chats: int, prompt: int, promised: float, fit: StepFit) -> ChunkDays:
    """Chats that write 64 tokens each, and a long prompt after ten steps of theirs -> their day at every budget."""
    start = simulate(long_prompt_intruder(chats=chats, prompt=16, intruder=1, at=0.0), SchedulerConfig(), fit.cost)
    trace = long_prompt_intruder(chats=chats, prompt=16, output=64, intruder=prompt, at=start.steps[9].end)
    days = []
    for budget in BUDGETS:
        config = SchedulerConfig(max_num_batched_tokens=budget, enable_prefix_caching=False)
        days.append(_day(budget, simulate(trace, config, fit.cost, num_blocks=512)))
        if budget >= prompt + chats:
            break  # it is read at once, and no larger step changes anything
    return ChunkDays(chats, prompt, promised, fit.cost.source, tuple(days))


def _day(budget: int, simulation: Simulation) -> ChunkDay:
    *chats, intruder = simulation.times
    gaps = sorted(gap for times in chats for gap in times.itl)
    pieces = sum(share.kind == "prefill" for s in simulation.steps for share in s.shares if share[0] == "intruder")
    return ChunkDay(budget, gaps[-1], gaps[len(gaps) // 2], intruder.ttft or 0.0, pieces)


def draw_chunks(data: ChunkDays) -> Figure:
    """Left: the longest gap of the chats, with the promise. Right: the long prompt's first token. Both by budget."""
    chosen = data.chosen
    promise = f"{1000 * data.promised:.0f} ms between tokens"
    best = f"Steps of {chosen.budget} tokens keep {promise}" if chosen else f"No budget keeps {promise}"
    fig = figures.figure(best, width=9.6, height=3.5, columns=2)
    left, right = fig.axes
    _draw_line(left, data, [1000 * day.longest for day in data.days], "longest gap in a chat (ms)")
    left.axhline(1000 * data.promised, color=figures.VERMILLION, linestyle="--", linewidth=1.4)
    left.annotate(
        "promised", (data.days[-1].budget, 1000 * data.promised), xytext=(0, 4), textcoords="offset points", fontsize=9.5, ha="right",
        color=figures.VERMILLION,
    )  # fmt: skip
    _draw_line(right, data, [1000 * day.first for day in data.days], "TTFT of the long prompt (ms)")
    figures.caption(fig, f"Virtual clock; a step costs what it cost {data.source}. Square: the largest budget in time.")
    return fig


def _draw_line(axes: Axes, data: ChunkDays, values: list[float], label: str) -> None:
    budgets = [day.budget for day in data.days]
    axes.plot(budgets, values, color=figures.BLUE, marker="o", linewidth=2)
    if data.chosen:
        place = budgets.index(data.chosen.budget)
        axes.plot([budgets[place]], [values[place]], "s", color=figures.GREEN, markersize=11)
    axes.set_xscale("log", base=2)
    axes.set_xticks(budgets, labels=list(map(str, budgets)))
    axes.minorticks_off()
    axes.set_ylim(0, 1.15 * max([*values, 1000 * data.promised if "gap" in label else 0.0]))
    figures.label_axes(axes, "budget of a step (tokens)", label)


def describe_chunks(data: ChunkDays) -> str:
    """A row a budget, and the one to choose."""
    rows = [
        [str(day.budget), str(day.pieces), *(f"{1000 * value:.0f}" for value in (day.usual, day.longest, day.first))]
        for day in data.days
    ]
    promise = f"{1000 * data.promised:.0f} ms between tokens"
    chosen = f"the largest that keeps {promise}: {data.chosen.budget}" if data.chosen else f"none keeps {promise}"
    return "\n".join(
        [
            f"{data.chats} chat{'s' * (data.chats > 1)}, and a prompt of {data.prompt} tokens comes in between; times in ms",
            *figures.text_table(["budget", "pieces", "usual gap", "longest gap", "first token of the long one"], rows),
            f"  {chosen}",
            f"  virtual clock: steps cost what they cost {data.source}",
        ]
    )
