"""The IR explorer's picture: counters on top, and beside each source line how much it became in either compilation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.ir_view import IRView

WINDOW = 24  # source lines shown, the picked one in the middle
LETTERS = 84
COLOURS = ((figures.BLUE, ""), (figures.ORANGE, "///"))


def draw_view(data: IRView) -> Figure:
    """The counters as a table, then the source with bars; the picked line stands on a pale ground."""
    kernel = data.sides[0].report.kernel
    title = f"{kernel}: {' against '.join(side.name for side in data.sides)}"
    fig = figures.figure(title, height=6.9, rows=2, columns=1, height_ratios=(0.2 * (len(data.counters) + 1), 4.6))
    table, listing = fig.axes
    _draw_counters(table, data)
    _draw_listing(listing, data)
    stages = " and ".join(dict.fromkeys(side.stage for side in data.sides))
    versions = ", ".join(dict.fromkeys(f"Triton {side.report.triton}" for side in data.sides))
    figures.caption(
        fig, f"Bars: lines of {stages} that came from each source line. Compiled by {versions}; nothing ran."
    )
    return fig


def _draw_counters(axes: Axes, data: IRView) -> None:
    axes.set_axis_off()
    rows = data.counters
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.6, -0.7))
    for index, side in enumerate(data.sides):
        colour, hatch = COLOURS[index]
        x = 0.62 + 0.2 * index
        axes.bar([x - 0.165], [0.55], bottom=-0.3, width=0.02, color=colour, hatch=hatch, edgecolor="white")
        axes.text(x, 0, side.name, ha="right", va="center", fontsize=10.5, fontweight="bold", parse_math=False)
    for row, (name, numbers) in enumerate(rows, 1):
        differ = len(set(numbers)) > 1
        axes.text(0.02, row, name, va="center", fontsize=10.5, color=figures.INK)
        for index, number in enumerate(numbers):
            axes.text(0.62 + 0.2 * index, row, figures.format_number(number), ha="right", va="center", fontsize=10.5,
                      fontweight="bold" if differ else "normal", color=figures.INK)  # fmt: skip
        if differ:
            axes.text(0.85 if len(numbers) > 1 else 0.65, row, "differs", va="center", fontsize=9.5, color=figures.GREY)


def _draw_listing(axes: Axes, data: IRView) -> None:
    places = list(data.source)
    middle = places.index(data.picked) if data.picked in data.source else 0
    first = max(0, min(middle - WINDOW // 2, len(places) - WINDOW))
    shown = places[first : first + WINDOW]
    most = max([len(side.of(place)) for side in data.sides for place in places] + [1])
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    for row, place in enumerate(shown):
        if place == data.picked:
            axes.axhspan(row - 0.5, row + 0.5, color="#FFF0D0", zorder=0)
        code = data.source[place].rstrip().replace("\t", "    ")
        code = code if len(code) <= LETTERS else code[: LETTERS - 1] + "…"
        busy = any(side.of(place) for side in data.sides)
        colour = figures.INK if busy else figures.GREY
        axes.text(0.0, row, f"{place.rpartition(':')[2]:>4} {code}", va="center", fontsize=6.9, family="monospace",
                  color=colour, parse_math=False)  # fmt: skip
        _draw_bars(axes, data, place, row, most)


def _draw_bars(axes: Axes, data: IRView, place: str, row: int, most: int) -> None:
    left, room, height = 0.755, 0.19, 0.8 / len(data.sides)
    for index, side in enumerate(data.sides):
        count = len(side.of(place))
        if not count:
            continue
        colour, hatch = COLOURS[index]
        y = row - 0.4 + height * (index + 0.5)
        axes.barh([y], [room * count / most], left=left, height=height * 0.95, color=colour, hatch=hatch,
                  edgecolor="white", linewidth=0.3)  # fmt: skip
        axes.text(left + room * count / most + 0.005, y, str(count), va="center", fontsize=6.5, color=figures.INK)
