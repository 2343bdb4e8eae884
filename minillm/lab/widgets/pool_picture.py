"""The pool explorer's picture: two maps of the same memory, the block tables, and how much of each memory holds a token.

A slot has its text's letter and colour; a shared one has a hatch and a plus sign; an empty one that is given out is pale,
and a free one is white. So the picture survives a photocopy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.pool_steps import PoolDay
    from minillm.lab.widgets.pool_story import Frame

ROW, SLOTS = 16, 96
COLOURS = dict(zip("ABCDEFG", (*figures.PALETTE, "#F0E442"), strict=True))  # Okabe and Ito's yellow is the seventh
SHARED = "#BBBBBB"


def draw_pool(data: PoolDay) -> Figure:
    """Both memories slot by slot above; the tables and the share of slots with a token below."""
    paged, whole = data.frames
    title = f"Step {data.step}: {len(paged.lengths)} texts in pages, {len(whole.lengths)} in one piece each"
    fig = figures.figure(title, width=9.6, height=5.4, rows=2, columns=2, height_ratios=(1.2, 1))
    left, right, tables, curve = fig.axes
    _draw_map(left, paged, data.block_size, f"pages of {data.block_size}: {_counts(paged)}")
    _draw_map(right, whole, ROW, f"one piece a text: {_counts(whole)}")
    _draw_tables(tables, data)
    _draw_curve(curve, data)
    figures.caption(fig, f"Pale: given out and empty. Hatched: shared by several texts. {figures.COMPUTED}")
    return fig


def _counts(frame: Frame) -> str:
    waiting = f"; {' '.join(frame.waiting)} waiting" if frame.waiting else ""
    return f"{frame.used} of {frame.given_out} slots used{waiting}"


def _draw_map(axes: Axes, frame: Frame, page: int, title: str) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    cells: list[list[tuple[float, ...]]] = [[to_rgba("white")] * ROW for _ in range(SLOTS // ROW)]
    for piece in frame.pieces:
        shared = len(piece.owners) > 1
        colour = SHARED if shared else COLOURS[piece.owners[0]]
        for i in range(piece.size):
            y, x = divmod(piece.start + i, ROW)
            cells[y][x] = to_rgba(colour) if i < piece.used else _pale(to_rgba(colour))
            if i < piece.used:
                sign, ink = ("+", figures.INK) if shared else (piece.owners[0], figures.ink_on(colour))
                ground = {"bbox": {"facecolor": SHARED, "edgecolor": "none", "pad": 0.6}} if shared else {}
                axes.text(x + 0.5, y + 0.52, sign, ha="center", va="center", fontsize=9, color=ink, **ground)
        if shared:
            y, x = divmod(piece.start, ROW)
            axes.add_patch(Rectangle((x, y), piece.used, 1, fill=False, edgecolor="white", hatch="////", linewidth=0))
    axes.imshow(cells, extent=(0, ROW, SLOTS // ROW, 0), interpolation="nearest")
    axes.hlines(range(SLOTS // ROW + 1), 0, ROW, color=figures.PALE, linewidth=0.6)
    axes.vlines(range(ROW + 1), 0, SLOTS // ROW, color=figures.PALE, linewidth=0.6)
    if 1 < page < ROW:
        axes.vlines(range(page, ROW, page), 0, SLOTS // ROW, color=figures.INK, linewidth=0.9)
    axes.set(xlim=(0, ROW), ylim=(SLOTS // ROW, 0), xticks=[])
    axes.set_yticks([row + 0.5 for row in range(SLOTS // ROW)], labels=[str(row * ROW) for row in range(SLOTS // ROW)])
    axes.tick_params(length=0, labelsize=9)
    axes.grid(False)
    axes.set_title(title, loc="left", fontsize=10.5, color=figures.INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _pale(colour: tuple[float, ...]) -> tuple[float, ...]:
    """A colour thinned with white, for a slot that is given out and empty."""
    return (*(1 - 0.22 * (1 - part) for part in colour[:3]), 1.0)


def _draw_tables(axes: Axes, data: PoolDay) -> None:
    """A row a text: its blocks in order, shared ones hatched with their reference count."""
    from matplotlib.patches import Rectangle

    frame, counts = data.frames[0], data.ref_counts
    longest = max([len(ids) for ids in frame.tables.values()] + [8])
    size = min(9.0, 190 / longest)
    for y, (name, ids) in enumerate(frame.tables.items()):
        for x, block in enumerate(ids):
            shared = counts[block] > 1
            colour = SHARED if shared else COLOURS[name]
            axes.add_patch(
                Rectangle(
                    (x, y + 0.08), 0.96, 0.84, facecolor=colour, edgecolor="white", hatch="////" if shared else None
                )
            )
            label = f"{block}" + (f" ×{counts[block]}" if shared and longest <= 12 else "")
            ground = {"bbox": {"facecolor": SHARED, "edgecolor": "none", "pad": 0.6}} if shared else {}
            if size >= 5:
                axes.text(x + 0.48, y + 0.52, label, ha="center", va="center", fontsize=size - 1.5 * (shared and longest <= 12),
                          color=figures.INK if shared else figures.ink_on(colour), **ground)  # fmt: skip
    names = list(frame.tables)
    axes.set(xlim=(0, longest), ylim=(max(len(names), 4), 0), xticks=[])
    axes.set_yticks([y + 0.5 for y in range(len(names))], labels=[f"{n}, {frame.lengths[n]} tokens" for n in names])
    axes.tick_params(length=0, labelsize=9.5)
    axes.grid(False)
    axes.set_title("block tables: the pages of each text, in order", loc="left", fontsize=10.5, color=figures.INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_curve(axes: Axes, data: PoolDay) -> None:
    looks = ((data.paged, "pages", figures.BLUE, "o"), (data.whole, "one piece a text", figures.ORANGE, "s"))
    for frames, name, colour, marker in looks:
        steps, used = range(len(frames)), [frame.kept for frame in frames]
        axes.plot(steps, used, color=colour, linewidth=1.8, label=name)
        axes.plot([data.step], [used[data.step]], color=colour, marker=marker, markersize=7)
    axes.axvline(data.step, color=figures.GREY, linewidth=1, linestyle=":")
    axes.axhline(SLOTS, color=figures.INK, linewidth=1, linestyle="--")
    axes.annotate("all slots", (0, SLOTS), xytext=(0, 3), textcoords="offset points", fontsize=9, color=figures.INK)
    top = max(frame.kept for frames in (data.paged, data.whole) for frame in frames)
    axes.set(ylim=(0, 1.18 * max(SLOTS, top)), xlim=(-0.3, len(data.paged) - 0.7))
    axes.legend(frameon=False, fontsize=10, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
    figures.label_axes(axes, "step", "tokens kept for texts")
