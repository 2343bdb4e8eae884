"""Who shares what? Query heads and the key/value heads they read, from one each (MHA) to one for all (MQA).

Query head h reads key/value head h // (H / G). Sharing leaves the queries alone; what shrinks is the cache, and the two
projections that fill it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Explorer, State, Steps, Still, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel

BYTES_PER_NUMBER = 2  # bfloat16, as most checkpoints are served
MIN_SPAN = 6  # one or two heads are drawn no wider than this many would be
POINTS_ACROSS, MIN_POINTS = 640, 5.0  # letters that fit side by side across the map, and the smallest worth reading


@dataclass(frozen=True)
class HeadGroups:
    """H query heads over G key/value heads: the map, the bytes a token leaves in the cache of a layer, the parameters."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    hidden_size: int

    @property
    def kind(self) -> str:
        """MHA when every query head has its own key/value head, MQA when all share one, GQA between."""
        if self.num_kv_heads == self.num_heads:
            return "MHA"
        return "MQA" if self.num_kv_heads == 1 else "GQA"

    @property
    def reads(self) -> list[int]:
        """For each query head, the key/value head it reads."""
        return [head // (self.num_heads // self.num_kv_heads) for head in range(self.num_heads)]

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values one token leaves in one layer's cache, at two bytes a number."""
        return 2 * self.num_kv_heads * self.head_dim * BYTES_PER_NUMBER

    @property
    def kv_parameters(self) -> int:
        """Weights of one layer's key and value projections: 2 * C * G * D."""
        return 2 * self.hidden_size * self.num_kv_heads * self.head_dim


def head_groups(num_heads: int = 8, head_dim: int = 64, hidden_size: int | None = None) -> Panel | Still:
    """H, D, C (H * D if None) -> a widget: which query heads share a key/value head, and what sharing saves.

    Raises InvalidValue for a size below 1. Source: Shazeer 2019 (MQA), Ainslie et al. 2023 (GQA).
    """
    return show(explore_head_groups(num_heads, head_dim, hidden_size))


def explore_head_groups(num_heads: int = 8, head_dim: int = 64, hidden_size: int | None = None) -> Explorer[HeadGroups]:
    """The same without the slider: `.data(num_kv_heads=2)`, `.text(...)`, `.still(...)`."""
    width = num_heads * head_dim if hidden_size is None else hidden_size
    for name, size in (("num_heads", num_heads), ("head_dim", head_dim), ("hidden_size", width)):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidValue(rule_numbers_remedy(f"{name} must be a whole number of at least 1", repr(size), "try 8"))
    divisors = tuple(g for g in range(1, num_heads + 1) if num_heads % g == 0)
    texts = tuple(f"{g} ({HeadGroups(num_heads, g, head_dim, width).kind})" for g in divisors)
    slider = Steps(
        "num_kv_heads", "Key/value heads", f"of {num_heads}", divisors, divisors[(len(divisors) - 1) // 2], texts
    )

    def compute(state: State) -> HeadGroups:
        return HeadGroups(num_heads, state["num_kv_heads"], head_dim, width)

    return Explorer("Head groups", (slider,), compute, draw_head_groups, describe_head_groups)


def draw_head_groups(data: HeadGroups) -> Figure:
    """Query heads above, the key/value heads they read below, and the cache's size against MHA's at the foot."""
    title = f"{data.kind}: {_many(data.num_heads, 'query head')} on {_many(data.num_kv_heads, 'key/value head')}"
    fig = figures.figure(title, height=4.0, rows=2, height_ratios=(3.2, 1))
    _draw_map(fig.axes[0], data)
    _draw_cost(fig.axes[1], data)
    return fig


def _draw_map(axes: Axes, data: HeadGroups) -> None:
    axes.set_axis_off()
    middle, span = (data.num_heads - 1) / 2, max(data.num_heads, MIN_SPAN)
    axes.set(xlim=(middle - span / 2 - 0.1, middle + span / 2 + 0.1), ylim=(-0.45, 1.45))
    size = data.num_heads // data.num_kv_heads
    for head, group in enumerate(data.reads):
        colour = figures.PALETTE[group % len(figures.PALETTE)]
        axes.plot([head, group * size + (size - 1) / 2], [0.82, 0.2], color=colour, linewidth=1.6, zorder=1)
        _box(axes, (head, 1.0), 0.8, colour, f"q{head}", span)
    for group in range(data.num_kv_heads):
        colour = figures.PALETTE[group % len(figures.PALETTE)]
        width = 0.8 if size == 1 else max(1.6, 0.6 * size)
        _box(axes, (group * size + (size - 1) / 2, 0.0), width, colour, f"kv{group}", span)


def _box(axes: Axes, centre: tuple[float, float], width: float, colour: str, label: str, span: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = centre
    corner, shape = (x - width / 2, y - 0.2), "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, width, 0.4, boxstyle=shape, facecolor=colour, edgecolor="white"))
    letters = len(str(span - 1)) + 1  # as many as the longest label in its row has, so that all are equally large
    size = min(11.5, POINTS_ACROSS * width / span / letters)
    if size >= MIN_POINTS:
        axes.text(x, y, label, ha="center", va="center", fontsize=size, color=figures.ink_on(colour))


def _draw_cost(axes: Axes, data: HeadGroups) -> None:
    share = 100 * data.num_kv_heads / data.num_heads
    axes.barh([0], [100], height=0.6, facecolor="white", edgecolor=figures.GREY, hatch="///", linewidth=0.8)
    axes.barh([0], [share], height=0.6, color=figures.BLUE)
    inside = share > 50
    colour, ground = ("white", figures.BLUE) if inside else (figures.INK, "white")
    axes.text(
        share + (-1.5 if inside else 1.5), 0, f"{share:.3g}% of MHA", ha="right" if inside else "left", va="center",
        fontsize=11, color=colour, bbox={"facecolor": ground, "edgecolor": "none", "pad": 2},
    )  # fmt: skip
    axes.set(xlim=(0, 100), yticks=[])
    axes.grid(False)
    figures.label_axes(axes, x="bytes of KV cache a token, against MHA (%)")


def describe_head_groups(data: HeadGroups) -> str:
    """The map in words, then bytes and parameters, each against MHA."""
    size = data.num_heads // data.num_kv_heads
    whole = HeadGroups(data.num_heads, data.num_heads, data.head_dim, data.hidden_size)
    spans = [f"q{g * size}" + (f"..q{g * size + size - 1}" if size > 1 else "") for g in range(data.num_kv_heads)]
    number, share = figures.format_number, f"{100 * data.num_kv_heads / data.num_heads:.3g}% of MHA's"
    return "\n".join(
        [
            f"{data.kind}: {_many(data.num_heads, 'query head')} (H), {_many(data.num_kv_heads, 'key/value head')} (G), H / G = {size}",
            "  ".join(f"kv{group} <- {span}" for group, span in enumerate(spans)),
            f"KV cache, a token and layer: {number(data.kv_bytes)} bytes, {share} {number(whole.kv_bytes)}",
            f"key and value projections, a layer: {number(data.kv_parameters)} parameters, {share} {number(whole.kv_parameters)}",
        ]
    )


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
