"""The look of every figure: one palette, one type size, units on every axis, and a line saying where numbers come from.

Figures are built as plain objects (no pyplot, no global state, no display needed) and shown as a `Picture`: a PNG for
eyes and a stable text for terminals, screen readers and tests. Colours are Okabe and Ito's, safe for colour-blind
readers, and every series also has a marker or a hatch, so a photocopy still tells them apart.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab.formatting import format_bytes, format_count, format_number, show_token, text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COMPUTED", "EXACT_COUNTS", "HATCHES", "MARKERS", "MEASURED_HERE", "PALETTE", "Picture", "bar_chart", "bars", "caption", "figure",
    "format_bytes", "format_count", "format_number", "heat_map", "ink_on", "label_axes", "line_chart", "lines", "name_ticks", "picture",
    "recorded_on", "show_token", "style_axes", "text_table", "to_png",
]  # fmt: skip

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")
INK, GREY, PALE = "#1A1A1A", "#6B6B6B", "#D9D9D9"

MEASURED_HERE = "Measured on this machine."
EXACT_COUNTS = "Exact counts: the same on every machine."
COMPUTED = "Computed, not measured."

DOTS_PER_INCH = 144
SHOWN_PER_INCH = 100  # notebooks show the PNG smaller than it is, so that it stays crisp on dense screens


@dataclass(frozen=True)
class Picture:
    """A PNG and the text that says the same: what a notebook stores, a screen reader reads and a test compares."""

    png: bytes
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        width = round(png_size(self.png)[0] * SHOWN_PER_INCH / DOTS_PER_INCH)
        return {"image/png": base64_png(self.png), "text/plain": self.text}, {"image/png": {"width": width}}


def base64_png(png: bytes) -> str:
    """The spelling of image bytes that notebook files keep."""
    return base64.b64encode(png).decode("ascii")


def png_size(png: bytes) -> tuple[int, int]:
    """(width, height) in dots, read from a PNG's header."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def figure(
    title: str = "", *, width: float = 7.2, height: float = 3.6, rows: int = 1, columns: int = 1, **grid: Any
) -> Figure:
    """An empty figure of `rows` x `columns` styled axes, found in `.axes` row by row; sizes in inches.

    Further keywords (`width_ratios`, `sharex`, ...) go to `Figure.subplots`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07)
    fig = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout, facecolor="white")
    fig.subplots(rows, columns, **grid)
    for axes in fig.axes:
        style_axes(axes)
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return fig


def style_axes(axes: Axes) -> None:
    """Two spines, quiet grid behind the data, 10.5 point labels: readable from the back row and on paper."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(labelsize=10.5, colors=INK, length=3)
    axes.grid(True, color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes; write the unit in the name, as in "bytes loaded (MiB)"."""
    axes.set_xlabel(x, fontsize=11, color=INK)
    axes.set_ylabel(y, fontsize=11, color=INK)


def caption(fig: Figure, source: str) -> None:
    """A small line under the figure that says where its numbers come from (see `MEASURED_HERE`, `recorded_on`)."""
    fig.supxlabel(source, x=0.01, ha="left", fontsize=9, color=GREY, parse_math=False)


def recorded_on(label: str) -> str:
    """The caption for numbers from another machine's record, such as `recorded_on("NVIDIA H200, 2026-11-20")`."""
    return f"Recorded on {label}; not measured on this machine."


def to_png(fig: Figure) -> bytes:
    """The figure as PNG bytes, without date or software name: the same figure gives the same bytes.

    In a palette of 256 colours a figure takes a third of the bytes, and a lesson full of them stays light.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(fig)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a model may print a script the font lacks
        canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    palette = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, format="png")
    return buffer.getvalue()


def picture(fig: Figure, text: str) -> Picture:
    """Freeze a figure with the text that stands for it."""
    return Picture(to_png(fig), text)


def ink_on(colour: str) -> str:
    """White or near-black, whichever is easier to read on `colour`."""
    from matplotlib.colors import to_rgb

    red, green, blue = (part**2.2 for part in to_rgb(colour))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.25 else INK


def bars(
    axes: Axes, labels: Sequence[str], values: Sequence[float], *, unit: str, texts: Sequence[str] | None = None
) -> None:
    """Horizontal bars, first label on top, each with its value written at its end. `unit` names the x axis."""
    _same_length("labels", labels, "values", values)
    shown = list(texts) if texts is not None else [format_number(v) for v in values]
    _same_length("labels", labels, "texts", shown)
    rows = range(len(labels))
    drawn = axes.barh(rows, values, height=0.68, color=BLUE, edgecolor="white", linewidth=0.5)
    for text in axes.bar_label(drawn, labels=shown, padding=4, fontsize=10.5, color=INK):
        text.set_parse_math(False)
    name_ticks(axes, "y", list(labels))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: format_count(value))
    axes.set_xlim(0, max([float(v) for v in values] or [1.0]) * 1.22 or 1.0)
    label_axes(axes, x=unit)


def name_ticks(axes: Axes, side: str, labels: Sequence[str], *, size: float = 10.5, rotation: float = 0) -> None:
    """Put one literal label at each of 0, 1, 2, ...; a `$` in a token is a dollar, not the start of a formula."""
    axis = axes.yaxis if side == "y" else axes.xaxis
    axis.set_ticks(range(len(labels)), labels=list(labels), fontsize=size, rotation=rotation, parse_math=False)


def lines(axes: Axes, x: Sequence[float], series: Mapping[str, Sequence[float]], *, x_label: str, y_label: str) -> None:
    """One line a series over the same `x`, each with its own colour and marker; labels carry their units."""
    for index, (name, y) in enumerate(series.items()):
        _same_length("x", x, name, y)
        colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
        axes.plot(x, y, color=colour, marker=marker, markersize=6, linewidth=2, label=name)
    label_axes(axes, x_label, y_label)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=10.5)


def log_height(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers, 20 rather than a power of ten; a short one has two more in each decade."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(lambda value, _: format_count(value))
    axes.yaxis.set_minor_formatter("")


def heat_map(
    axes: Axes,
    matrix: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    unit: str,
    maximum: float | None = None,
) -> None:
    """A matrix (len(rows), len(columns)) from white at 0 to dark at `maximum` (None: its largest), with a bar for `unit`."""
    _same_length("rows", rows, "matrix", matrix)
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=maximum, aspect="auto", interpolation="nearest")
    size = min(10.5, 290 / max(len(rows), len(columns), 1))
    name_ticks(axes, "y", rows, size=size)
    name_ticks(axes, "x", columns, size=size, rotation=90)
    axes.grid(False)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label(unit, fontsize=11, color=INK)
    bar.outline.set_visible(False)


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    unit: str,
    source: str,
    texts: Sequence[str] | None = None,
) -> Picture:
    """A whole picture of horizontal bars; its text lists the same labels and values. `source` says whose numbers."""
    shown = list(texts) if texts is not None else [format_number(v) for v in values]
    fig = figure(title, height=1.5 + 0.36 * len(labels))
    bars(fig.axes[0], labels, values, unit=unit, texts=shown)
    caption(fig, source)
    width = max((len(label) for label in labels), default=0)
    rows = [f"  {label:<{width}}  {value}" for label, value in zip(labels, shown, strict=True)]
    return picture(fig, "\n".join([f"{title} [{unit}]", *rows, source]))


def line_chart(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    source: str,
    log: str = "",
) -> Picture:
    """A whole picture of lines; its text is a table of the same numbers. `log` is "", "x", "y" or "xy" (base 2 and 10)."""
    fig = figure(title)
    lines(fig.axes[0], x, series, x_label=x_label, y_label=y_label)
    if "x" in log:
        fig.axes[0].set_xscale("log", base=2)
        fig.axes[0].xaxis.set_major_formatter(lambda value, _: format_count(value))
    if "y" in log:
        log_height(fig.axes[0])
    caption(fig, source)
    names = [x_label, *series]
    rows = [[format_number(cell) for cell in row] for row in zip(x, *series.values(), strict=True)]
    return picture(fig, "\n".join([f"{title} [{y_label}]", *text_table(names, rows), source]))


def _same_length(name: str, first: Sequence[object], other: str, second: Sequence[object]) -> None:
    if len(first) != len(second):
        raise InvalidValue(
            rule_numbers_remedy(
                f"{name} and {other} must be equally long", f"{len(first)} and {len(second)}", "give one of each"
            )
        )
