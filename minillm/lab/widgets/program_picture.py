"""The program map's picture: the tensor in its tiles, darker the later they start, and the chosen program's lanes.

What sticks out of the tensor is hatched, in the map and in the lanes alike: there the mask is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.lab import figures
from minillm.lab.widgets.panes import span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.program_map import ProgramMap

MASKED: dict[str, Any] = {"facecolor": "white", "edgecolor": figures.GREY, "hatch": "////", "linewidth": 0.5}
LANES_SHOWN = 32
SMALLEST_LABEL = 5.0


def draw_program_map(data: ProgramMap) -> Figure:
    """The tiles with their programs above; the offsets of the chosen program's last tile, rows then columns, below."""
    flat = data.rows == 1
    inside, lanes = data.lanes(data.last)
    title = f"Program {data.program} (of 0 to {data.programs - 1}): {inside} of {lanes} lanes work"
    if flat:
        fig = figures.figure(title, height=2.9, rows=2)
        map_axes, columns_axes = fig.axes
    else:
        fig = figures.figure(title, height=4.4, rows=2, columns=2, width_ratios=(1.25, 1))
        map_axes = span(fig, slice(None), slice(0, 1))
        rows_axes, columns_axes, _ = fig.axes
        _draw_lanes(rows_axes, data.offsets(data.last)[0], data.rows, "offs_m, rows")
    _draw_tiles(map_axes, data)
    _draw_lanes(columns_axes, data.offsets(data.last)[1], data.columns, "offs_n, columns" if not flat else "offs_n")
    figures.caption(fig, f"Blue: darker programs start later. Hatched: masked off. {figures.COMPUTED}")
    return fig


def _draw_tiles(axes: Axes, data: ProgramMap) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    height, width = data.block
    bottom, right = (1 + max(tile.row for tile in data.tiles)) * height, (1 + max(t.column for t in data.tiles)) * width
    shades = colormaps["Blues"]
    for place, tile in enumerate(data.tiles):
        turn = tile.program if data.programs < len(data.tiles) else place
        shade = to_hex(shades(0.12 + 0.7 * turn / max(1, data.programs - 1)))
        x, y = tile.column * width, tile.row * height
        axes.add_patch(Rectangle((x, y), width, height, facecolor=shade, edgecolor="white", linewidth=0.8))
        size = _label_size(data, tile.program, right, bottom)
        if size >= SMALLEST_LABEL:
            centre = (min(x + width, data.columns) + x) / 2, (min(y + height, data.rows) + y) / 2
            axes.text(*centre, str(tile.program), ha="center", va="center", fontsize=size,
                      color=figures.ink_on(shade), zorder=4)  # fmt: skip
    for corner, wide, high in (
        ((data.columns, 0), right - data.columns, bottom),
        ((0, data.rows), data.columns, bottom - data.rows),
    ):
        if wide and high:
            axes.add_patch(Rectangle(corner, wide, high, zorder=2, **MASKED))
    axes.add_patch(Rectangle((0, 0), data.columns, data.rows, fill=False, edgecolor=figures.INK, linewidth=2, zorder=3))
    for tile in data.own:
        place_of = (tile.column * width, tile.row * height)
        axes.add_patch(
            Rectangle(place_of, width, height, fill=False, edgecolor=figures.VERMILLION, linewidth=3, zorder=5)
        )
    axes.grid(False)
    axes.set(xlim=(-0.01 * right, 1.01 * right), ylim=(1.02 * bottom, -0.02 * bottom))
    if data.rows > 1 and 0.4 < right / bottom < 2.5:
        axes.set_aspect("equal")
    if data.rows == 1:
        axes.set_yticks([])
    figures.label_axes(axes, "column" if data.rows > 1 else "element", "row" if data.rows > 1 else "")


def _label_size(data: ProgramMap, program: int, right: int, bottom: int) -> float:
    """Points that a program's number may take: some of its tile's width and height, as wide as the widest number."""
    across = (250 if data.rows > 1 else 460) * data.block[1] / right
    down = (215 if data.rows > 1 else 45) * data.block[0] / bottom
    digits = len(str(data.programs - 1))
    return min(11.0, across / (0.75 * digits + 0.5), 0.8 * down)


def _draw_lanes(axes: Axes, offsets: tuple[int, ...], size: int, name: str) -> None:
    """One box a lane with its offset; the ones at or past `size` are masked off."""
    from matplotlib.patches import Rectangle

    shown = offsets[:LANES_SHOWN]
    a_row = 16 if len(shown) > 8 and name == "offs_n" else 8
    for lane, offset in enumerate(shown):
        x, y = lane % a_row, lane // a_row
        works = offset < size
        look = {"facecolor": figures.BLUE, "edgecolor": "white"} if works else MASKED
        axes.add_patch(Rectangle((x, y), 0.94, 0.86, **look))
        ground = {} if works else {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
        axes.text(x + 0.47, y + 0.43, str(offset), ha="center", va="center", fontsize=9.5,
                  color="white" if works else figures.GREY, **ground)  # fmt: skip
    lines = -(-len(shown) // a_row)
    axes.set(xlim=(-0.1, max(a_row, 1) + 0.1), ylim=(max(lines, 2), -0.1), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(False)
    working = sum(offset < size for offset in offsets)
    more = f", first {LANES_SHOWN} shown" if len(offsets) > LANES_SHOWN else ""
    axes.set_title(f"{name} < {size}: {working} of {len(offsets)}{more}", loc="left", fontsize=10.5, color=figures.INK)
