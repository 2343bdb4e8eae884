"""The online-softmax stepper's picture: the row above, and below it what one tile did to l, to acc and to the output.

Kept apart from the arithmetic so that each can be read alone. Bars come in threes, always in the same order and look:
old (before the tile), shrunk (the same in units of the new maximum) and new (with the tile added).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minillm.lab import figures
from minillm.lab.widgets.panes import span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.softmax_steps import SoftmaxWalk

BAR_LOOKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("old", {"facecolor": "white", "edgecolor": figures.GREY, "hatch": "///", "linewidth": 0.8}),
    ("shrunk", {"facecolor": figures.ORANGE, "edgecolor": "white"}),
    ("new", {"facecolor": figures.BLUE, "edgecolor": "white"}),
)
MASKED = "-∞"


def short(number: float) -> str:
    """Four digits, as the table, the sentence and the picture all write a number."""
    return f"{number:.4g}"


def draw_softmax_walk(data: SoftmaxWalk) -> Figure:
    """The row with its tiles and both maxima; under it l, acc and acc / l before and after the last tile read."""
    fig = figures.figure(
        _title(data), height=5.2, rows=2, columns=3, height_ratios=(1.15, 1), width_ratios=(1, 1.15, 1.05)
    )
    top = span(fig, slice(0, 1), slice(None))
    l_axes, acc_axes, out_axes, _ = fig.axes
    _draw_row(top, data)
    _draw_sum(l_axes, data)
    _draw_accumulator(acc_axes, data)
    _draw_output(out_axes, data)
    figures.caption(fig, f"Old, the same in units of the new m, and with the tile added. {figures.COMPUTED}")
    return fig


def _title(data: SoftmaxWalk) -> str:
    step = data.current
    place = f"{data.step} of {len(data.steps)} tiles read"
    if step is None or step.m == -math.inf:
        return f"{place}: nothing seen yet"
    if step.m_before == -math.inf or step.shrink == 1:
        return f"{place}: m = {short(step.m)}, nothing to shrink"
    return f"{place}: m rises, the past shrinks by {short(step.shrink)}"


def _draw_row(axes: Axes, data: SoftmaxWalk) -> None:
    seen = [score for score in data.scores if score > -math.inf] or [0.0]
    low, high = min(seen), max(seen)
    room = (high - low) or 1.0
    floor = low - 0.25 * room
    current = data.current
    read, fresh = (current.stop, current.start) if current else (0, 0)
    for key, score in enumerate(data.scores):
        colour, edge = (figures.BLUE, "white") if fresh <= key < read else (figures.SKY, "white")
        if key >= read:
            colour, edge = "white", figures.GREY
        if score > -math.inf:
            axes.bar([key], [score - floor], bottom=floor, width=0.74, facecolor=colour, edgecolor=edge)
        else:
            axes.text(key, floor + 0.04 * room, MASKED, ha="center", fontsize=10.5, color=figures.INK)
    for step in data.steps[1:]:
        axes.axvline(step.start - 0.5, color=figures.GREY, linewidth=1.0, linestyle=":")
    _draw_maxima(axes, data)
    figures.name_ticks(axes, "x", [str(key) for key in range(len(data.scores))])
    axes.grid(False, axis="x")
    axes.set(xlim=(-0.6, _right(data)), ylim=(floor, high + 0.22 * room))
    figures.label_axes(axes, "key: dark is this tile, pale is read before, empty is still to come", "score")


def _draw_maxima(axes: Axes, data: SoftmaxWalk) -> None:
    step = data.current
    if step is None or step.m == -math.inf:
        return
    _draw_maximum(axes, data, step.m, f"m = {short(step.m)}", "bottom", color=figures.VERMILLION, linewidth=2)
    if -math.inf < step.m_before < step.m:
        was = f"m was {short(step.m_before)}"
        _draw_maximum(axes, data, step.m_before, was, "top", color=figures.INK, linewidth=1.4, linestyle="--")


def _draw_maximum(axes: Axes, data: SoftmaxWalk, m: float, text: str, side: str, **look: Any) -> None:
    # The new maximum is named above its line and the old one below, so that close ones do not collide.
    axes.axhline(m, **look)
    axes.text(_right(data) - 0.05, m, text, ha="right", va=side, fontsize=10.5, color=figures.INK)


def _right(data: SoftmaxWalk) -> float:
    """Where the row's axis ends: room for a maximum's name beside the last bar."""
    return len(data.scores) * 1.14


def _draw_sum(axes: Axes, data: SoftmaxWalk) -> None:
    step = data.current
    heights = (step.l_before, step.l_before * step.shrink, step.l) if step else (0.0, 0.0, 0.0)
    for x, ((_, look), height) in enumerate(zip(BAR_LOOKS, heights, strict=True)):
        axes.bar([x], [height], width=0.74, **look)
        axes.annotate(short(height), (x, height), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=9.5)
    figures.name_ticks(axes, "x", [name for name, _ in BAR_LOOKS], size=9.5)
    axes.set_ylim(0, 1.2 * max(heights) or 1.0)
    axes.grid(False, axis="x")
    figures.label_axes(axes, y="l")


def _draw_accumulator(axes: Axes, data: SoftmaxWalk) -> None:
    step, width = data.current, len(data.values[0])
    nothing = (0.0,) * width
    before, after = (step.acc_before, step.acc) if step else (nothing, nothing)
    shrunk = tuple(a * (step.shrink if step else 1) for a in before)
    for index, ((name, look), heights) in enumerate(zip(BAR_LOOKS, (before, shrunk, after), strict=True)):
        axes.bar([d + 0.27 * (index - 1) for d in range(width)], heights, width=0.25, label=name, **look)
    axes.axhline(0, color=figures.INK, linewidth=0.8)
    if not any(map(any, (before, after))):
        axes.set_ylim(-1, 1)
    axes.grid(False, axis="x")
    figures.name_ticks(axes, "x", [f"acc[{d}]" for d in range(width)])
    figures.label_axes(axes, y="acc")


def _draw_output(axes: Axes, data: SoftmaxWalk) -> None:
    step, places = data.current, range(len(data.values[0]))
    axes.plot(places, data.answer, linestyle="none", marker="s", markersize=13, markerfacecolor="none",
              markeredgecolor=figures.INK, label="whole row")  # fmt: skip
    if step and step.l:
        axes.plot(
            places, step.out, linestyle="none", marker="o", markersize=7, color=figures.VERMILLION, label="so far"
        )
    spread = [value for column in data.columns for value in column]
    margin = 0.12 * (max(spread) - min(spread)) or 1.0
    axes.set(xlim=(-0.6, len(places) - 0.4), ylim=(min(spread) - margin, max(spread) + 2.6 * margin))
    axes.legend(frameon=False, fontsize=9.5, loc="upper center", ncols=2, columnspacing=0.8, handletextpad=0.1)
    axes.grid(False, axis="x")
    figures.name_ticks(axes, "x", [f"out[{d}]" for d in places])
    figures.label_axes(axes, y="out = acc / l")
