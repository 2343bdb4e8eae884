"""Figures with panes of unequal size: one wide drawing and small ones beside it.

`figures.figure` makes a plain grid; a pane that spans several cells takes their place here, in the same style.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def span(fig: Figure, rows: slice, columns: slice) -> Axes:
    """A grid figure -> one styled pane over these rows and columns, in place of the axes that were there; last in `.axes`."""
    grid = fig.axes[0].get_gridspec()
    assert grid is not None, "figures.figure lays its axes on a grid"
    shape = (grid.nrows, grid.ncols)
    covered = {r * shape[1] + c for r in range(*rows.indices(shape[0])) for c in range(*columns.indices(shape[1]))}
    for place, axes in enumerate(list(fig.axes)):
        if place in covered:
            axes.remove()
    pane = fig.add_subplot(grid[rows, columns])
    figures.style_axes(pane)
    return pane
