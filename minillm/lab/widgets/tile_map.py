"""How does flash attention never visit most tiles? The L x S score matrix cut in tiles: whole, masked, or never loaded.

A tile every row may see needs no mask; one that the diagonal, a window or the end of the keys cuts through does; one that
nobody may see is neither loaded nor multiplied. Smaller tiles follow the diagonal more closely and waste fewer FLOPs, but
fewer queries then share each load of keys and values, so more bytes are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, State, Steps, Still, show
from minillm.lab.widgets.panes import span
from minillm.measure.cost import attention_bytes, attention_flops, ideal_attention_bytes
from minillm.measure.tiles import TiledCost, key_range, tiled_attention_cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel

SKIPPED, WHOLE, MASKED = 0, 1, 2
LENGTHS = (1, 16, 64, 100, 128, 200, 256, 384, 512, 768, 1024, 1536, 2048)
BLOCKS = (16, 32, 64, 128)
NO_WINDOW = 0  # a slider has no place for None
WINDOWS = (NO_WINDOW, 32, 64, 128, 256, 512)
LOOKS = ((SKIPPED, "never loaded", "#F2F2F2"), (MASKED, "masked", figures.ORANGE), (WHOLE, "whole", figures.BLUE))
MOST_OUTLINED = 1600  # tiles; smaller ones would be all outline


@dataclass(frozen=True)
class TileMap:
    """One head's walk: `kinds[i][j]` tells whether query tile i leaves key tile j out, loads it whole, or with a mask."""

    L: int
    S: int
    block_l: int
    block_s: int
    causal: bool
    window: int | None
    head_dim: int
    dtype_bytes: int
    kinds: tuple[tuple[int, ...], ...]

    def count(self, kind: int) -> int:
        """Tiles of one kind."""
        return sum(row.count(kind) for row in self.kinds)

    @property
    def cost(self) -> TiledCost:
        """What this walk moves and multiplies."""
        return self._cost(self.causal, self.window)

    @property
    def cost_of_every_tile(self) -> TiledCost:
        """The same tiles with none skipped: right answers, wasted work."""
        return self._cost(False, None)

    def _cost(self, causal: bool, window: int | None) -> TiledCost:
        return tiled_attention_cost(
            1, self.L, self.S, 1, self.head_dim, block_l=self.block_l, block_s=self.block_s, causal=causal, window=window,
            dtype_bytes=self.dtype_bytes,
        )  # fmt: skip

    @property
    def useful_flops(self) -> int:
        """FLOPs of the pairs that may look; the rest of what is issued multiplies hidden or padded pairs."""
        return attention_flops(1, self.L, self.S, 1, self.head_dim, causal=self.causal, window=self.window).useful

    @property
    def once_bytes(self) -> int:
        """Bytes loaded if q, k and v were each read once: no attention can read less."""
        return ideal_attention_bytes(1, self.L, self.S, 1, 1, self.head_dim, dtype_bytes=self.dtype_bytes).loaded

    @property
    def naive_bytes(self) -> int:
        """Bytes the naive form loads, which keeps all scores in memory."""
        return attention_bytes(
            1, self.L, self.S, 1, 1, self.head_dim, causal=self.causal, window=self.window is not None,
            dtype_bytes=self.dtype_bytes,
        ).loaded  # fmt: skip


def tile_explorer(
    L: int = 512, S: int = 512, *, head_dim: int = 128, dtype_bytes: int = 2, causal: bool = True
) -> Panel | Still:
    """L, S, D, bytes a number -> a widget: which tiles of one head are whole, masked or skipped, with bytes and FLOPs.

    Raises InvalidValue for sizes below 1 or above 4096. Sources: Dao et al. 2022; the ranges are `measure/tiles.py`'s own.
    """
    return show(explore_tiles(L, S, head_dim=head_dim, dtype_bytes=dtype_bytes, causal=causal))


def explore_tiles(
    L: int = 512, S: int = 512, *, head_dim: int = 128, dtype_bytes: int = 2, causal: bool = True
) -> Explorer[TileMap]:
    """The same without the controls: `.data(block_s=32)`, `.text(causal=False)`, `.still(window=64)`; window 0 is none."""
    for name, size, most in (
        ("L", L, 4096),
        ("S", S, 4096),
        ("head_dim", head_dim, 1024),
        ("dtype_bytes", dtype_bytes, 8),
    ):
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= most:
            rule = f"{name} must be a whole number from 1 to {most}"
            raise InvalidValue(rule_numbers_remedy(rule, repr(size), f"try {min(most, 64)}"))
    controls = (
        Steps("L", "Queries L", "tokens", tuple(sorted({L, *LENGTHS})), L),
        Steps("S", "Keys S", "tokens", tuple(sorted({S, *LENGTHS})), S),
        Steps("block_l", "Tile height block_l", "queries", BLOCKS, 64),
        Steps("block_s", "Tile width block_s", "keys", BLOCKS, 64),
        Choice("causal", "Causal", "", (True, False), causal, ("yes: no key after its query", "no")),
        Steps("window", "Window", "keys back", WINDOWS, NO_WINDOW, ("none", *map(str, WINDOWS[1:]))),
    )

    def compute(state: State) -> TileMap:
        tiles = map_tiles(**{**state, "window": state["window"] or None})
        return replace(tiles, head_dim=head_dim, dtype_bytes=dtype_bytes)

    return Explorer("Tile explorer", controls, compute, draw_tile_map, describe_tile_map)


def map_tiles(L: int, S: int, block_l: int, block_s: int, causal: bool = False, window: int | None = None) -> TileMap:
    """Lengths, tile sizes and the mask -> the kind of every tile, from the same ranges the kernel loops over."""
    rows = []
    for q_tile in range(-(-L // block_l)):
        row = [SKIPPED] * -(-S // block_s)
        for start, masked in key_range(q_tile, L, S, block_l, block_s, causal=causal, window=window).tiles(block_s):
            row[start // block_s] = MASKED if masked else WHOLE
        rows.append(tuple(row))
    return TileMap(L, S, block_l, block_s, causal, window, 128, 2, tuple(rows))


def draw_tile_map(data: TileMap) -> Figure:
    """The matrix in its tiles, and beside it what is read and what is multiplied, each against its yardsticks."""
    visited = data.count(WHOLE) + data.count(MASKED)
    total = visited + data.count(SKIPPED)
    title = f"{figures.format_number(visited)} of {figures.format_number(total)} tiles loaded"
    fig = figures.figure(title, height=4.6, rows=2, columns=2, width_ratios=(1.25, 1))
    tiles = span(fig, slice(None), slice(0, 1))
    bytes_axes, flops_axes, _ = fig.axes
    _draw_tiles(tiles, data)
    _draw_bytes(bytes_axes, data)
    _draw_flops(flops_axes, data)
    figures.caption(fig, f"One head, D = {data.head_dim}, {data.dtype_bytes} bytes a number. {figures.COMPUTED}")
    return fig


def _draw_tiles(axes: Axes, data: TileMap) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    colours = ListedColormap([colour for _, _, colour in sorted(LOOKS)])
    columns, rows = len(data.kinds[0]), len(data.kinds)
    x = [min(j * data.block_s, data.S) for j in range(columns + 1)]
    y = [min(i * data.block_l, data.L) for i in range(rows + 1)]
    edges, width = ("white", 0.8) if rows * columns <= MOST_OUTLINED else ("none", 0.0)
    axes.pcolormesh(x, y, data.kinds, cmap=colours, vmin=-0.5, vmax=2.5, edgecolors=edges, linewidth=width)
    _draw_edges(axes, data)
    axes.grid(False)
    axes.set(xlim=(0, data.S), ylim=(data.L, 0))
    if max(data.L, data.S) <= 4 * min(data.L, data.S):
        axes.set_aspect("equal")
    handles = [Patch(facecolor=c, edgecolor=figures.GREY, linewidth=0.5, label=n) for _, n, c in LOOKS]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, frameon=False, fontsize=9.5,
                columnspacing=1.0, handlelength=1.2, handletextpad=0.4)  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    figures.label_axes(axes, "key", "query")


def _draw_edges(axes: Axes, data: TileMap) -> None:
    """Where visibility ends in each row: after the diagonal if causal, before the window if there is one."""
    shift, edges = data.S - data.L, [0, data.L]
    if data.causal:
        axes.plot([i + shift for i in edges], edges, color=figures.INK, linewidth=1.6)
    if data.window is not None:
        axes.plot([i + shift - data.window for i in edges], edges, color=figures.INK, linewidth=1.6, linestyle="--")


def _draw_bytes(axes: Axes, data: TileMap) -> None:
    values = [data.cost.bytes.loaded, data.cost_of_every_tile.bytes.loaded, data.once_bytes, data.naive_bytes]
    names = ["these tiles", "every tile", "each once", "naive"]
    figures.bars(axes, names, values, unit="bytes loaded", texts=[figures.format_bytes(v) for v in values])
    _finish(axes, values)


def _draw_flops(axes: Axes, data: TileMap) -> None:
    values = [data.cost.flops, data.cost_of_every_tile.flops, data.useful_flops]
    names = ["these tiles", "every tile", "useful"]
    figures.bars(axes, names, values, unit="FLOPs issued, and useful", texts=[figures.format_count(v) for v in values])
    _finish(axes, values)


def _finish(axes: Axes, values: list[int]) -> None:
    axes.set_xlim(0, 1.45 * (max(values) or 1))
    axes.set_xticks([])  # every bar has its number at its end
    for bar, colour in zip(axes.patches, (figures.BLUE, figures.GREY, figures.PALE, figures.PALE), strict=False):
        bar.set_facecolor(colour)


def describe_tile_map(data: TileMap) -> str:
    """The counts of tiles, then bytes and FLOPs exactly, each against doing it without skipping."""
    number, size = figures.format_number, figures.format_bytes
    whole, masked, skipped = (data.count(kind) for kind in (WHOLE, MASKED, SKIPPED))
    cost, every = data.cost, data.cost_of_every_tile
    sight = "causal" if data.causal else "not causal"
    if data.window is not None:
        sight += f", window {data.window}"
    useful = 100 * data.useful_flops / cost.flops if cost.flops else 0.0
    lines = [
        f"L = {data.L}, S = {data.S}, {sight}; tiles of {data.block_l} queries x {data.block_s} keys",
        f"{number(whole + masked)} of {number(whole + masked + skipped)} tiles loaded: {number(whole)} whole, "
        f"{number(masked)} masked; {number(skipped)} never loaded",
        f"bytes loaded: {number(cost.bytes.loaded)} ({size(cost.bytes.loaded)}); with every tile "
        f"{size(every.bytes.loaded)}; q, k, v once {size(data.once_bytes)}; naive {size(data.naive_bytes)}",
        f"bytes stored: {number(cost.bytes.stored)} ({size(cost.bytes.stored)}), out and lse, whatever the tiles",
        f"FLOPs issued: {number(cost.flops)}, of which useful {number(data.useful_flops)} ({useful:.3g}%); "
        f"with every tile {number(every.flops)}",
    ]
    if data.kinds and len(data.kinds) <= 16 and len(data.kinds[0]) <= 32:
        lines += ["  " + " ".join(".#/"[kind] for kind in row) for row in data.kinds]
        lines.append("  # whole   / masked   . never loaded")
    return "\n".join(lines)
