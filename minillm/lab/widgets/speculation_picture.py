"""The speculation explorer's picture: passes as rows of boxes, and under them two panes of arithmetic.

A kept guess is green with a tick, the wrong one vermilion with a cross, what was dropped behind it pale with a dash, and the
target's own token blue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.speculation import Speculation

KEPT, WRONG, UNJUDGED, OWN = figures.GREEN, figures.VERMILLION, "#E4E4E4", figures.BLUE
MARKS = {KEPT: "✓", WRONG: "✗", UNJUDGED: "–", OWN: "›"}


def draw_speculation(data: Speculation) -> Figure:
    """The passes above; below, tokens a pass and time saved against the number of guesses."""
    run = data.run
    title = f"{data.kind}: {run.tokens_a_pass:.2f} tokens a pass, {run.acceptance:.0%} of judged guesses kept"
    fig = figures.figure(title, width=9.6, height=6.0, rows=2, columns=2, height_ratios=(1.15, 1))
    left, right, tokens, saving = fig.axes
    grid = left.get_gridspec()
    assert grid is not None
    left.remove()
    right.remove()
    passes = fig.add_subplot(grid[0, :])
    figures.style_axes(passes)
    _draw_passes(passes, data)
    _draw_tokens(tokens, data)
    _draw_saving(saving, data)
    source = (
        f"{data.batch} texts, weights alone, by the datasheet of an H100-SXM." if data.batch > 1 else "Weights alone."
    )
    figures.caption(fig, f"Above: a run of the engine on the bundled models. Below: {source} {figures.COMPUTED}")
    return fig


def _draw_passes(axes: Axes, data: Speculation) -> None:
    for row, (_, one) in enumerate(data.shown):
        for column, token in enumerate(one.drafts):
            colour = KEPT if column < one.num_kept else WRONG if column < one.num_judged else UNJUDGED
            _box(axes, column, row, data.word(token), colour)
        _box(axes, data.k + 0.3, row, data.word(one.written[-1]), OWN)
        axes.text(data.k + 1.45, row + 0.5, f"+{len(one.written)}", va="center", fontsize=10.5, color=figures.INK)
    rows = max(3, len(data.shown))
    axes.set_xlim(0, data.k + 2)
    axes.set_ylim(rows, 0)
    axes.grid(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_yticks(
        [row + 0.5 for row in range(len(data.shown))], labels=[f"pass {number}" for number, _ in data.shown]
    )
    guesses = [column + 0.5 for column in range(data.k)]
    names = [f"guess {column + 1}" for column in range(data.k)]
    axes.set_xticks([*guesses, data.k + 0.8], labels=[*names, "target's own"])
    axes.tick_params(length=0, top=False)
    axes.set_title("✓ kept   ✗ wrong   – dropped unjudged   › the target's own token", fontsize=10, loc="left")


def _box(axes: Axes, x: float, y: int, word: str, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x + 0.03, y + 0.1), 0.94, 0.8, facecolor=colour, edgecolor="none"))
    axes.text(x + 0.5, y + 0.52, f"{MARKS[colour]} {word}", ha="center", va="center", fontsize=9, family="monospace",
              color=figures.ink_on(colour), parse_math=False)  # fmt: skip


def _draw_tokens(axes: Axes, data: Speculation) -> None:
    from minillm.decoding.speculative import expected_tokens

    ks = range(9)
    axes.plot(ks, [expected_tokens(data.acceptance, k) for k in ks], color=figures.BLUE, marker="o", linewidth=2,
              label=f"each guess kept with {data.acceptance:.0%}")  # fmt: skip
    axes.plot(ks, [k + 1 for k in ks], color=figures.GREY, linestyle=":", linewidth=1.3, label="every guess kept")
    axes.plot([data.k], [data.run.tokens_a_pass], color=figures.ORANGE, marker="s", markersize=8, linestyle="none",
              label="this run")  # fmt: skip
    axes.set_ylim(0, 9.5)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    figures.label_axes(axes, "guesses k", "tokens a pass")


def _draw_saving(axes: Axes, data: Speculation) -> None:
    ks = range(9)
    rows = [(1, figures.GREEN, "^")] + ([(data.batch, figures.ORANGE, "s")] if data.batch > 1 else [])
    for batch, colour, marker in rows:
        label = f"{batch} text{'s' * (batch > 1)}"
        axes.plot(ks, [data.saving(k, batch) for k in ks], color=colour, marker=marker, linewidth=2, label=label)
    axes.axhline(1, color=figures.INK, linewidth=1.2, linestyle="--", label="without guessing")
    axes.axvline(data.k, color=figures.GREY, linewidth=1.2, linestyle=":")
    axes.set_ylim(0, max(2.0, 1.25 * max(data.saving(k, 1) for k in ks)))
    axes.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)
    figures.label_axes(axes, "guesses k", "times as fast")
