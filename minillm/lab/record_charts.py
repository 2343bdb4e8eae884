"""Charts of records: how fast each contestant was on one machine, beside the ceiling measured in the same run.

A chart shows what was run and nothing else: what was not timed is named in its text with the reason, and where no GPU
has left a record there is one sentence instead of a curve. Lessons show these pictures, labelled with machine and date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.figures import Picture
from minillm.lab.record_rows import Row, Selection, case_label, gpu_record, select_rows, untimed_lines
from minillm.measure.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_YET = "not yet measured on a GPU; `make gpu` on a GPU machine writes the record"


def gpu_chart(
    operator: str, *, causal: bool | None = None, among: Sequence[Record] | None = None, **shape: int
) -> Picture:
    """The chart of an operator from the newest GPU record; without one, a picture of the sentence that says so.

    `causal` and sizes by letter, such as `D=128, G=8`, choose among the record's rows; `among` replaces the bundled records.
    """
    record = gpu_record(operator, among)
    return _not_yet(operator) if record is None else draw_rows(select_rows(record, operator, causal=causal, **shape))


def draw_rows(selection: Selection) -> Picture:
    """A panel for each kind of case: a line a contestant over the sequence length, or a bar each where there is one shape.

    TFLOP/s, or TB/s where nothing is multiplied; the dashed line is the ceiling. The text lists the same numbers.
    """
    if not selection.rows:
        return _not_yet(selection.operator)
    kinds = selection.kinds().values()
    title = f"{_words(selection.operator)} on {selection.record.device}, {selection.record.date[:10]}"
    columns = min(2, len(kinds))
    panel_rows = -(-len(kinds) // columns)
    fig = figures.figure(
        title, width=5.2 * columns + 1, height=0.8 + 2.9 * panel_rows, rows=panel_rows, columns=columns
    )
    text = [f"{title} [{selection.unit}]"]
    for axes, rows in zip(fig.axes, kinds, strict=False):
        text += _draw_panel(axes, selection, rows)
    for axes in fig.axes[len(kinds) :]:
        axes.set_axis_off()
    source = figures.recorded_on(f"{selection.record.device}, {selection.record.date[:10]}")
    figures.caption(fig, source)
    left = [f"  not timed: {line}" for line in untimed_lines(selection.untimed)]
    return figures.picture(fig, "\n".join([*text, *left, source]))


def _draw_panel(axes: Axes, selection: Selection, rows: list[Row]) -> list[str]:
    """Draw one kind of case, and return it in words."""
    by_length = len({row.length for row in rows}) > 1
    name = rows[0].kind if by_length else case_label(rows[0].measured)
    axes.set_title(name, fontsize=10.5, loc="left", color=figures.INK)
    ceiling = selection.ceiling(rows[0].measured.dtype)
    what = "copy" if selection.unit == "TB/s" else "large matmul"
    table = _draw_lines(axes, selection, rows, f"{what}, same run") if by_length else _draw_bars(axes, selection, rows)
    best = [] if ceiling is None else [f"  a {what} in the same run (dashed): {ceiling:.3g}"]
    return [f" {name}", *table, *best]


def _draw_lines(axes: Axes, selection: Selection, rows: list[Row], ceiling_label: str) -> list[str]:
    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        curves.setdefault(row.measured.backend, {})[row.length or 0] = row.trillions
    everybody = list(dict.fromkeys(row.measured.backend for row in selection.rows))
    for name, curve in curves.items():
        # A contestant looks the same in every panel, whoever else is missing there.
        colour, marker = (looks[everybody.index(name) % len(looks)] for looks in (figures.PALETTE, figures.MARKERS))
        axes.plot(*zip(*sorted(curve.items()), strict=True), color=colour, marker=marker, linewidth=1.8, label=name)
    lengths = sorted({length for curve in curves.values() for length in curve})
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, labels=[str(length) for length in lengths])
    axes.minorticks_off()
    if (ceiling := selection.ceiling(rows[0].measured.dtype)) is not None:
        axes.axhline(ceiling, color=figures.INK, linewidth=1.2, linestyle="--", label=ceiling_label)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    figures.label_axes(axes, "sequence length L (tokens)", selection.unit)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="best")
    table = [[str(n), *(f"{curve[n]:.3g}" if n in curve else "-" for curve in curves.values())] for n in lengths]
    return figures.text_table(["L", *curves], table)


def _draw_bars(axes: Axes, selection: Selection, rows: list[Row]) -> list[str]:
    names = [row.measured.backend for row in rows]
    shown = [f"{row.trillions:.3g}" for row in rows]
    figures.bars(axes, names, [row.trillions for row in rows], unit=selection.unit, texts=shown)
    if (ceiling := selection.ceiling(rows[0].measured.dtype)) is not None:
        axes.axvline(ceiling, color=figures.INK, linewidth=1.2, linestyle="--")
        axes.set_xlim(0, max(axes.get_xlim()[1], 1.08 * ceiling))
    return figures.text_table(["contestant", selection.unit], list(zip(names, shown, strict=True)))


def _words(operator: str) -> str:
    return operator.replace("_", " ")


def _not_yet(operator: str) -> Picture:
    text = f"{_words(operator)}: {NOT_YET}"
    fig = figures.figure(width=9.6, height=0.6)
    fig.axes[0].set_axis_off()
    fig.axes[0].text(0, 0.5, text, fontsize=11, color=figures.INK, va="center", parse_math=False)
    return figures.picture(fig, text)
