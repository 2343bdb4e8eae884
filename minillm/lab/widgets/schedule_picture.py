"""The picture of compared schedules: each request's life, each step's work, the pool, and what that means for the readers.

A request is a row: it waits in grey, is read in blue, is written in orange, and black is a gap between two tokens that is
longer than was promised: the stutter. Below, a step is as wide as it took and as tall as its tokens. Hatches and black say
the same as the colours, so the picture survives a photocopy.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Any

from minillm.lab import figures
from minillm.lab.widgets.schedule_days import ComparedDays, ScheduledDay, promise_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READ, WRITTEN, STOOD = figures.BLUE, figures.ORANGE, figures.INK
LOOKS: dict[str, dict[str, Any]] = {
    "waits": dict(facecolor=figures.PALE, hatch="////", edgecolor="white", linewidth=0),
    "is read": dict(facecolor=READ, linewidth=0),
    "is written": dict(facecolor=WRITTEN, linewidth=0),
    "stands still": dict(facecolor=STOOD, edgecolor="white", linewidth=0.8),
    "padding": dict(facecolor="white", hatch="xxxx", edgecolor=figures.GREY, linewidth=0.4),
}
Boxes = list[tuple[float, float, float, float]]  # left, right, bottom, top


def draw_schedules(data: ComparedDays) -> Figure:
    """A block of three panes for each schedule, two beside each other; below, percentiles and what was kept of the promise."""
    blocks = -(-len(data.days) // 2)
    tall = min(2.0, 0.75 + 0.085 * len(data.workload))
    heights = [0.12, *(tall, 0.62, 0.34) * blocks, 0.5 + 0.2 * len(data.days)]
    fig = figures.figure(title_of(data), width=9.8, height=0.8 + sum(heights) + 0.22 * len(heights))
    fig.axes[0].remove()
    grid = fig.add_gridspec(len(heights), 4, height_ratios=heights)

    def pane(row: int, column: int, width: int = 1) -> Axes:
        axes = fig.add_subplot(grid[row, column : column + width])
        figures.style_axes(axes)
        return axes

    for place, day in enumerate(data.days):
        row, column = 1 + 3 * (place // 2), 2 * (place % 2)
        _draw_day([pane(row + i, column, 2) for i in range(3)], data, day, names=column == 0)
    _draw_numbers([pane(len(heights) - 1, column) for column in range(4)], data)
    _draw_legend(pane(0, 0, 4), data)
    promise = f"Promised: {promise_in_words(data.slo)}. Virtual clock; a step costs what it cost {data.source}."
    figures.caption(fig, "\n".join([promise, *(f"{note}." for note in data.notes)]))
    return fig


def title_of(data: ComparedDays) -> str:
    """Who keeps the promise most often, and who least, in a line."""
    good = {day.name: f"{day.summary.goodput or 0:.2f}" for day in data.days}
    best, worst = (pick(good, key=lambda name: float(good[name])) for pick in (max, min))
    if good[worst] == good[best]:
        return f"Requests a second for whom the promise was kept: {good[best]}" + " with each" * (len(good) > 1)
    return f"Requests a second for whom the promise was kept: {good[best]} with {best}, {good[worst]} with {worst}"


def stretches_of(day: ScheduledDay) -> dict[str, list[tuple[str, float, float]]]:
    """What is drawn -> (request, start, end) of each stretch; steps that follow each other are one stretch."""
    stretches: dict[str, list[tuple[str, float, float]]] = {name: [] for name in list(LOOKS)[:4]}
    for times in day.simulation.times:
        until = times.arrival if times.scheduled is None else times.scheduled
        stretches["waits"].append((times.request_id, times.arrival, until))
        gaps = pairwise(times.token_times)
        stretches["stands still"] += [(times.request_id, *gap) for gap in gaps if gap[1] - gap[0] > day.patience]
    open_ones: dict[tuple[str, str], tuple[float, float]] = {}
    for step in day.simulation.steps:
        for share in step.shares:
            key = ("is read" if share.kind == "prefill" else "is written", share.request_id)
            start, end = open_ones.get(key, (step.start, step.start))
            if end < step.start:
                stretches[key[0]].append((key[1], start, end))
                start = step.start
            open_ones[key] = (start, step.end)
    for (name, request), span in open_ones.items():
        stretches[name].append((request, *span))
    return stretches


def _draw_day(panes: list[Axes], data: ComparedDays, day: ScheduledDay, *, names: bool) -> None:
    life, steps, pool = panes
    _draw_lives(life, data, day)
    _draw_steps(steps, data, day)
    _draw_pool(pool, day)
    for axes in panes:
        axes.set_xlim(0, data.end)
        axes.tick_params(labelsize=9)
    for axes in panes[:2]:
        axes.tick_params(labelbottom=False)
    if names:
        for axes, label in zip(panes, ("requests", "tokens\na step (√)", "pool"), strict=True):
            axes.set_ylabel(label, fontsize=9.5, color=figures.INK)
    pool.set_xlabel("seconds of the virtual clock", fontsize=9, color=figures.GREY, labelpad=1)


def _draw_lives(axes: Axes, data: ComparedDays, day: ScheduledDay) -> None:
    rows = {name: y for y, name in enumerate(data.workload.names)}
    for name, stretches in stretches_of(day).items():
        boxes = [(start, end, rows[request] + 0.1, rows[request] + 0.9) for request, start, end in stretches]
        _draw_boxes(axes, name, boxes)
    for times in day.simulation.times:
        y = rows[times.request_id] + 0.5
        axes.plot(times.preempted, [y] * len(times.preempted), "X", color=figures.VERMILLION, markersize=5.5)
    axes.set_ylim(len(rows), 0)
    _name_requests(axes, list(rows))
    axes.grid(False)
    axes.set_title(_heading(day), loc="left", fontsize=10.5, color=figures.INK, parse_math=False)


def _draw_boxes(axes: Axes, name: str, boxes: Boxes) -> None:
    from matplotlib.collections import PolyCollection

    corners = [[(x, low), (right, low), (right, high), (x, high)] for x, right, low, high in boxes]
    axes.add_collection(PolyCollection(corners, **LOOKS[name]), autolim=False)


def _name_requests(axes: Axes, names: list[str]) -> None:
    """Names where somebody gave them, else the number of every fourth request."""
    if all(name.isdigit() for name in names):
        places = range(0, len(names), 4 if len(names) <= 24 else 10)
    else:
        places = range(len(names))
    size = min(9.0, 100 / len(places))
    axes.set_yticks([y + 0.5 for y in places], labels=[names[y] for y in places], fontsize=size, parse_math=False)
    axes.tick_params(axis="y", length=0)


def _draw_steps(axes: Axes, data: ComparedDays, day: ScheduledDay) -> None:
    """Each step as wide as it took and as tall as the root of its tokens, or a few that are written would not be seen."""
    boxes: dict[str, Boxes] = {"is written": [], "is read": [], "padding": []}
    for step in day.simulation.steps:
        written = sum(share.kind == "decode" for share in step.shares)
        heights = (written, step.num_tokens - written, step.num_padding_tokens)
        floor = 0
        for name, height in zip(boxes, heights, strict=True):
            if height:
                boxes[name].append((step.start, step.end, sqrt(floor), sqrt(floor + height)))
            floor += height
    for name, of in boxes.items():
        _draw_boxes(axes, name, of)
    tallest = max(step.num_tokens + step.num_padding_tokens for other in data.days for step in other.simulation.steps)
    axes.set_ylim(0, 1.05 * sqrt(tallest))
    shown = [0, tallest // 4, tallest]
    axes.set_yticks(list(map(sqrt, shown)), labels=list(map(str, shown)))
    axes.grid(False)


def _draw_pool(axes: Axes, day: ScheduledDay) -> None:
    """The share of blocks in use, after every step."""
    blocks, steps = day.simulation.num_blocks, day.simulation.steps
    moments = [0.0, *(step.end for step in steps)]
    used = [0.0, *(1 - step.num_free_blocks / blocks for step in steps)]
    axes.fill_between(moments, used, step="pre", color=figures.PURPLE, linewidth=0)
    axes.axhline(1, color=figures.INK, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.15)
    axes.set_yticks([0, 1], labels=["0", f"{blocks}"])
    axes.grid(False)


def _heading(day: ScheduledDay) -> str:
    config = day.simulation.config
    moved = f", {day.simulation.num_preemptions} preempted" if day.simulation.num_preemptions else ""
    padded = f", {day.simulation.padding:.0%} padding" if day.simulation.padding else ""
    texts = "1 text" if config.max_num_seqs == 1 else f"{config.max_num_seqs} texts"
    return f"{day.name}  ({config.max_num_batched_tokens} tokens, {texts}{moved}{padded})"


def _draw_legend(axes: Axes, data: ComparedDays) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    called = {"stands still": f"no token for more than {1e3 * data.days[0].patience:.3g} ms"}
    handles: list[Any] = [Patch(label=called.get(name, name), **look) for name, look in LOOKS.items()]
    if any(day.simulation.num_preemptions for day in data.days):
        cross = dict(marker="X", color=figures.VERMILLION, markersize=6, linestyle="")
        handles.append(Line2D([], [], label="is preempted", **cross))  # type: ignore[arg-type]
    axes.set_axis_off()
    axes.legend(
        handles=handles, loc="center left", ncols=len(handles), frameon=False, fontsize=9.5, handlelength=1.6,
        columnspacing=1.4, borderpad=0, borderaxespad=0,
    )  # fmt: skip


def _draw_numbers(panes: list[Axes], data: ComparedDays) -> None:
    """Percentiles as lines from p50 to p95, and the rest as bars; a row a schedule."""
    ttft, tpot, gap, good = panes
    names = [day.name for day in data.days]
    for axes, name, bound in ((ttft, "ttft", data.slo.ttft), (tpot, "tpot", data.slo.tpot)):
        _draw_ranges(axes, [getattr(day.summary, name) for day in data.days], bound)
        axes.set_title(f"{name.upper()} (ms), p50 ● to p95 ▶", loc="left", fontsize=9.5, color=figures.INK)
    _draw_bars(gap, [1e3 * day.longest_gap for day in data.days], "{:.0f}")
    gap.set_title("longest gap (ms)", loc="left", fontsize=9.5, color=figures.INK)
    _draw_bars(good, [day.summary.goodput or 0.0 for day in data.days], "{:.2f}")
    good.set_title("goodput (requests/s)", loc="left", fontsize=9.5, color=figures.INK)
    for axes in panes:
        axes.set_ylim(len(names) - 0.5, -0.5)
        figures.name_ticks(axes, "y", names if axes is ttft else [""] * len(names), size=9.5)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=9)
        axes.grid(False, axis="y")


def _draw_ranges(axes: Axes, percentiles: list, bound: float | None) -> None:
    for y, of in enumerate(percentiles):
        if of is not None:
            axes.plot([1e3 * of.p50, 1e3 * of.p95], [y, y], color=figures.BLUE, linewidth=2)
            axes.plot([1e3 * of.p50], [y], "o", color=figures.BLUE, markersize=6)
            axes.plot([1e3 * of.p95], [y], ">", color=figures.BLUE, markersize=6)
    axes.set_xlim(0, 1.1 * max([1e3 * of.p95 for of in percentiles if of is not None] or [1.0]))
    if bound is not None and 1e3 * bound <= axes.get_xlim()[1]:
        axes.axvline(1e3 * bound, color=figures.VERMILLION, linewidth=1.4, linestyle="--")


def _draw_bars(axes: Axes, values: list[float], pattern: str) -> None:
    drawn = axes.barh(range(len(values)), values, height=0.6, color=figures.BLUE)
    axes.bar_label(drawn, labels=[pattern.format(value) for value in values], padding=3, fontsize=9, color=figures.INK)
    axes.set_xlim(0, 1.3 * max([*values, 1e-9]))
