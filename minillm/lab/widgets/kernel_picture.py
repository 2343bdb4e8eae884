"""The kernel lab's picture: contestants on the roofline of the chosen machine, and their errors, bytes and times below.

A filled marker was timed and stands where it ran; a hollow one was not, and stands on the roof: the most that machine
could give for those bytes and FLOPs. Colour and marker belong to a name, here and in records alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.widgets.comparison import Comparison, seconds_text
from minillm.lab.widgets.contest import FAILED, HERE, INTERPRETED, RECORDED, WRONG, Entry
from minillm.lab.widgets.machines import shape_text
from minillm.lab.widgets.panes import span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.27


def draw_comparison(data: Comparison) -> Figure:
    """The roofline above; below it, a row a contestant: largest error, bytes moved, time."""
    below = 0.75 + ROW_HEIGHT * max(3, len(data.rows))
    fig = figures.figure(
        _title(data), height=3.9 + below, rows=2, columns=3, height_ratios=(3.0, below), width_ratios=(1.2, 1, 1)
    )
    roofline = span(fig, slice(0, 1), slice(0, 2))
    legend_pane, error_axes, bytes_axes, time_axes, _ = fig.axes
    _draw_roofline(roofline, data)
    _draw_legend(legend_pane, roofline)
    _draw_errors(error_axes, data)
    _draw_bytes(bytes_axes, data)
    _draw_times(time_axes, data)
    for axes in (bytes_axes, time_axes):
        axes.set_yticklabels([])
    here = "Times measured here" if any(e.p50 and e.where == HERE for e in data.entries) else "Nothing timed here"
    source = data.ceilings.source.split(",")[0].split(":")[0]
    figures.caption(fig, f"{here}. Dotted: each byte once. Ceilings: {data.ceilings.name}, {source}.")
    return fig


def _title(data: Comparison) -> str:
    sight = "" if data.causal is None else ", causal" if data.causal else ", not causal"
    return f"{data.operator.capitalize()} in {data.dtype}{sight}"


def _draw_roofline(axes: Axes, data: Comparison) -> None:
    from matplotlib.ticker import NullFormatter

    placed = [(entry, x) for entry in data.rows if entry.verdict != FAILED and (x := data.intensity(entry))]
    bandwidth, rate = data.ceilings.bandwidth_bytes_per_s, data.rate()
    ridge = rate / bandwidth if rate else 1.0
    low = min([x for _, x in placed] + [ridge]) / 3
    high = max([x for _, x in placed] + [ridge]) * 4
    bend = (low, ridge, high)
    axes.plot(bend, [_roof(data, x) for x in bend], color=figures.INK, linewidth=2)
    for entry, x in placed:
        work, timed = data.work(entry), entry.p50
        y = work / timed if work and timed else _roof(data, x)
        _draw_point(axes, data, entry, x, y, filled=bool(timed))
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, top / 50), 2 * top)  # at least two decades, so that there are two labels
    axes.yaxis.set_minor_formatter(NullFormatter())
    middle = math.sqrt(low * ridge)
    _name_line(axes, f"{_short(bandwidth)}B/s", (middle, _roof(data, middle)), (8, -13))
    if rate:
        _name_line(axes, f"{_short(rate)}FLOP/s", (high, rate), (-4, 5))
    axes.set_title(shape_text(data.shape), loc="left", fontsize=10.5, color=figures.INK)
    figures.label_axes(axes, "FLOPs a byte moved", "FLOP/s")


def _name_line(axes: Axes, text: str, place: tuple[float, float], offset: tuple[int, int]) -> None:
    side = "left" if offset[0] > 0 else "right"
    axes.annotate(text, place, xytext=offset, textcoords="offset points", ha=side, fontsize=10.5, color=figures.INK)


def _short(rate: float) -> str:
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if rate >= size:
            return f"{rate / size:.3g} {letter}"
    return f"{rate:.3g} "


def _draw_legend(pane: Axes, roofline: Axes) -> None:
    pane.set_axis_off()
    handles, labels = roofline.get_legend_handles_labels()
    pane.legend(handles, labels, frameon=False, fontsize=9.5, loc="center left", bbox_to_anchor=(-0.1, 0.5),
                title="filled: timed, where it ran\nhollow: the most possible", title_fontsize=9.5,
                alignment="left", borderaxespad=0)  # fmt: skip


def _roof(data: Comparison, intensity: float) -> float:
    slope = data.ceilings.bandwidth_bytes_per_s * intensity
    rate = data.rate()
    return min(slope, rate) if rate else slope


def _draw_point(axes: Axes, data: Comparison, entry: Entry, x: float, y: float, *, filled: bool) -> None:
    index = _index(data, entry)
    colour, marker = figures.PALETTE[index % 6], figures.MARKERS[index % 6]
    size = 8 if filled else 14 - 1.5 * (index % 6)  # hollow ones at one place nest instead of hiding each other
    axes.plot([x], [y], linestyle="none", marker=marker, markersize=size, color=colour, label=_row_name(entry), zorder=3,
              markerfacecolor=colour if filled else "none", markeredgewidth=1.8)  # fmt: skip


def _index(data: Comparison, entry: Entry) -> int:
    names = list(dict.fromkeys(e.name for e in data.rows))
    return names.index(entry.name)


def _draw_rows(axes: Axes, data: Comparison, values: Sequence[float | None], texts: Sequence[str], label: str) -> None:
    """Bars in the colours of the contestants, each with its text; None is a text without a bar."""
    for row, (entry, value) in enumerate(zip(data.rows, values, strict=True)):
        colour = figures.PALETTE[_index(data, entry) % 6]
        hatch = "///" if entry.verdict == WRONG else "..." if entry.verdict == RECORDED else ""
        if value is not None:
            axes.barh([row], [value], height=0.66, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
    largest = max([v for v in values if v is not None] or [1.0])
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        colour = figures.INK if value is not None else figures.GREY
        axes.text((value or 0) + 0.03 * largest, row, text, va="center", fontsize=9.5, color=colour, parse_math=False)
    axes.set(xlim=(0, 1.75 * largest or 1.0), xticks=[])
    figures.name_ticks(axes, "y", [_row_name(entry) for entry in data.rows], size=9.5)
    axes.set_ylim(len(data.rows) - 0.4, -0.6)
    axes.grid(False)
    figures.label_axes(axes, x=label)


def _row_name(entry: Entry) -> str:
    return f"{entry.name}{' (wrong)' if entry.verdict == WRONG else ', recorded' if entry.verdict == RECORDED else ''}"


def _draw_errors(axes: Axes, data: Comparison) -> None:
    """Decades above 1e-10, so that a rounding and a mistake fit on one axis."""

    def decades(error: float | None) -> float | None:
        return None if error is None or not math.isfinite(error) else max(0.0, math.log10(max(error, 1e-10)) + 10)

    def text(entry: Entry) -> str:
        if entry.max_error is None:
            return entry.verdict if entry.verdict == FAILED else "unknown"
        return f"{entry.max_error:.1e}" if entry.max_error else "0"

    values = [decades(entry.max_error) for entry in data.rows]
    _draw_rows(axes, data, values, [text(entry) for entry in data.rows], "largest error (log)")


def _draw_bytes(axes: Axes, data: Comparison) -> None:
    """Plain lengths, or decades where a recorded shape is thousands of times larger than the one run here."""
    values, texts = _values(data, data.moved, figures.format_bytes, lambda _: "-")
    here = any(entry.where == HERE and data.moved(entry) for entry in data.rows)
    known = [v for v in values if v] + [data.least_bytes] * here
    wide = max(known, default=1) > 200 * min(known, default=1)

    def length(value: float) -> float:
        return math.log10(value / min(known)) + 0.5 if wide else value

    lengths = [None if v is None else length(v) for v in values]
    _draw_rows(axes, data, lengths, texts, f"bytes moved{' (log)' if wide else ''}")
    if here:
        axes.axvline(length(data.least_bytes), color=figures.INK, linestyle=":", linewidth=1.4)


def _draw_times(axes: Axes, data: Comparison) -> None:
    def why(entry: Entry) -> str:
        return "interpreted" if entry.note == INTERPRETED else "not timed"

    _draw_rows(axes, data, *_values(data, lambda entry: entry.p50, seconds_text, why), "time, median")


def _values(
    data: Comparison,
    read: Callable[[Entry], float | None],
    spell: Callable[[float], str],
    otherwise: Callable[[Entry], str],
) -> tuple[list[float | None], list[str]]:
    values = [read(entry) for entry in data.rows]
    texts = [otherwise(e) if v is None else spell(v) for e, v in zip(data.rows, values, strict=True)]
    return values, texts
