"""The picture of a token's cost: FLOPs on the left, the least time by a datasheet on the right, both against the length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.token_cost import TokenCost

WITHOUT, WITH = "read all again", "with a cache"


def times(ratio: float) -> str:
    """A ratio in three digits, or as a whole number from a hundred on."""
    return figures.format_number(round(ratio)) if ratio >= 100 else f"{ratio:.3g}"


def draw_token_cost(data: TokenCost) -> Figure:
    """Two panes over the length of the text, logarithmic both ways; the dotted line is the length that was chosen."""
    kept, again = data.with_cache(data.length), data.without_cache(data.length)
    ratio = again.seconds(data.machine) / kept.seconds(data.machine)
    tokens = figures.format_number(data.length)
    title = f"{data.model}, {tokens} tokens: FLOPs divided by {times(again.flops / kept.flops)}, least time by {times(ratio)}"
    fig = figures.figure(title, width=8.2, height=4.0, columns=2)
    flops, time = fig.axes
    _draw(flops, data, "FLOPs for the next token", lambda step: step.flops)
    _draw(time, data, "least time (ms)", lambda step: 1000 * step.seconds(data.machine))
    weights = 1000 * data.weight_bytes / data.machine.bandwidth_bytes_per_s
    time.axhline(weights, color=figures.INK, linewidth=1.2, linestyle="--", label="weights read once")
    time.legend(frameon=False, fontsize=9.5, loc="upper left")
    flops.legend(frameon=False, fontsize=9.5, loc="upper left")
    texts = "1 text" if data.batch == 1 else f"{data.batch} texts"
    figures.caption(fig, f"{texts}, bfloat16; arithmetic with the datasheet of {data.machine.name}. {figures.COMPUTED}")
    return fig


def _draw(axes: Axes, data: TokenCost, label: str, reading) -> None:  # type: ignore[no-untyped-def]
    lengths = data.lengths
    curves = ((WITHOUT, data.without_cache, figures.ORANGE, "s"), (WITH, data.with_cache, figures.BLUE, "o"))
    for name, cost_at, colour, marker in curves:
        values = [reading(cost_at(length)) for length in lengths]
        axes.plot(lengths, values, color=colour, marker=marker, markersize=5, linewidth=2, label=name)
    axes.axvline(data.length, color=figures.GREY, linewidth=1.2, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(top=axes.get_ylim()[1] * 30)  # room for the legend
    axes.set_xticks([length for length in lengths if length.bit_length() % 3 == 2])
    axes.xaxis.set_major_formatter(lambda value, _: figures.format_number(value))
    axes.minorticks_off()
    figures.label_axes(axes, "text so far (tokens)", label)
