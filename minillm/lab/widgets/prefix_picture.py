"""The prefix explorer's picture: prompts as strips of blocks, and under them, over the same axis, the two structures.

What was found is grey and hatched, what was computed is blue, and an end that fills no block is pale. In chain and tree,
the path of the newest prompt is blue; what hangs below a vertical line begins where its parent ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.widgets.prefix_story import Run, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.prefix_sharing import PrefixDay

FOUND, PALE_BLUE = "#BBBBBB", "#CFE3F1"
LETTERS_PER_TOKEN = 0.52  # at the size of the words in a run


def draw_prefixes(data: PrefixDay) -> Figure:
    """The strips above, the hash chain in the middle, the radix tree below."""
    chain, tree = data.now
    share = sum(data.found) / sum(map(len, data.prompts[: data.arrived]))
    heights = [max(3, data.arrived) + 1, *(max(2, len(set(rows_of(frame.runs)))) + 1.2 for frame in (chain, tree))]
    title = f"{data.names[-1]}, {data.found[-1]} of {len(data.prompts[data.arrived - 1])} tokens found"
    fig = figures.figure(title, width=9.6, height=1.3 + 0.25 * sum(heights), rows=3, height_ratios=heights, sharex=True)
    strips, above, below = fig.axes
    _draw_strips(strips, data, f"prompts so far: {share:.0%} of their tokens found")
    path = set(chain.found + chain.taken)
    _draw_runs(above, chain.runs, path, lambda run: run.name, f"hash chain: {len(chain.runs)} names, one a block")
    path = set(tree.found + tree.taken)
    _draw_runs(below, tree.runs, path, lambda run: _words(data, run), f"radix tree: {len(tree.runs)} runs of blocks")
    figures.label_axes(below, x="tokens from the beginning of the text")
    below.set_xlim(0, max(map(len, data.prompts)) + 2)
    below.set_xticks(range(0, max(map(len, data.prompts)), max(16, data.block_size)))
    strips_say = "Strips: hatched was found, blue computed, pale fills no block."
    figures.caption(fig, f"{strips_say} Below: the newest prompt's path is blue. {figures.COMPUTED}")
    return fig


def _draw_strips(axes: Axes, data: PrefixDay, title: str) -> None:
    from matplotlib.patches import Rectangle

    P = data.block_size
    for y, (ids, frame) in enumerate(zip(data.prompts, data.chain[: data.arrived], strict=False)):
        for i, block in enumerate(frame.found + frame.taken):
            width, known = min(P, len(ids) - i * P), i < len(frame.found)
            colour = FOUND if known else figures.BLUE if width == P else PALE_BLUE
            box = (i * P + 0.3, y + 0.1), width - 0.6, 0.8
            axes.add_patch(Rectangle(*box, facecolor=colour, edgecolor="white", hatch="////" if known else None))
            if width >= 8:
                ground = {"bbox": {"facecolor": FOUND, "edgecolor": "none", "pad": 0.5}} if known else {}
                ink = figures.ink_on(colour)
                axes.text(i * P + width / 2, y + 0.52, str(block), ha="center", va="center", fontsize=8, color=ink, **ground)  # fmt: skip
    _bare(axes, max(3, data.arrived), title)
    axes.set_yticks([y + 0.5 for y in range(data.arrived)], labels=list(data.names))


def _draw_runs(axes: Axes, runs: tuple[Run, ...], path: set[int], label: Callable[[Run], str], title: str) -> None:
    """Each run a box at its place in the text, on a row of its branch; later children hang from their parent's end."""
    from matplotlib.patches import Rectangle

    rows = rows_of(runs)
    for run, y in zip(runs, rows, strict=True):
        touched = path.issuperset(run.block_ids)
        colour = figures.BLUE if touched else FOUND
        width = len(run.tokens)
        axes.add_patch(Rectangle((run.start + 0.3, y + 0.12), width - 0.6, 0.76, facecolor=colour, edgecolor="white"))
        words = label(run)
        if words and width >= 11:
            axes.text(run.start + width / 2, y + 0.52, words, ha="center", va="center", fontsize=7.5, family="monospace",
                      color=figures.ink_on(colour), parse_math=False)  # fmt: skip
        if run.parent is not None and rows[run.parent] != y:
            axes.plot([run.start] * 2, [rows[run.parent] + 0.9, y + 0.5], color=figures.GREY, linewidth=1)
    _bare(axes, max(2, 1 + max(rows, default=0)), title)
    axes.set_yticks([])


def _words(data: PrefixDay, run: Run) -> str:
    """As many of the run's words as its box holds."""
    room = int(len(run.tokens) * LETTERS_PER_TOKEN)
    text = " ".join(data.text(run).split())
    return text if len(text) <= room else text[: room - 1] + "…" if room > 5 else ""


def _bare(axes: Axes, rows: int, title: str) -> None:
    axes.set(ylim=(rows, 0))
    axes.tick_params(left=False, labelsize=9)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10.5, color=figures.INK)
