"""The decoding explorer's picture: bars for what may be drawn next, and beside them the tree of a beam search.

A column of the tree is a step, its best continuation on top. Blue lives on, green has finished, and hatched grey was
dropped; the number beside a token is the log-probability of the text up to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.lab import figures
from minillm.lab.widgets.next_tokens import kept_in_words, shares_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.decoding_paths import Decoding
    from minillm.lab.widgets.next_tokens import NextToken

COLOURS = {"live": figures.BLUE, "finished": figures.GREEN, "dropped": figures.PALE}
BOX, GAP = 0.74, 0.26  # of the distance between two columns


def draw_decoding(data: Decoding) -> Figure:
    """Bars on the left, the tree on the right."""
    prompt = figures.show_token(data.next_token.prompt.replace("\\n", "\n")[-40:], 48)
    rows = max(len(layer) for layer in data.tree.layers[: data.shown])
    height = max(4.6, 1.5 + 0.42 * rows)
    fig = figures.figure(f"After {prompt}", width=11.6, height=height, columns=2, width_ratios=[1, 2.6])
    bars, tree = fig.axes
    _draw_bars(bars, data.next_token)
    _draw_tree(tree, data, rows)
    figures.caption(
        fig,
        f"{kept_in_words(data.next_token)}. Tree: blue lives on, green has finished, hatched grey was dropped;\n"
        f"numbers are log-probabilities, and best is the highest log-probability / tokens^{data.length_penalty:g}.",
    )
    return fig


def _draw_bars(axes: Axes, data: NextToken) -> None:
    shown = [after or before for after, before in zip(data.after, data.before, strict=True)]
    texts = shares_in_words(data)
    figures.bars(axes, data.tokens, [100 * share for share in shown], unit="next token (%)", texts=texts)
    for bar, share in zip(axes.patches, data.after, strict=True):
        if not share:
            bar.set(facecolor=figures.PALE, edgecolor=figures.GREY, hatch="///")
    room = 100 * max(shown) * 1.65
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= min(100, room)])
    axes.set_xlim(0, room)
    for label in axes.get_yticklabels():
        label.set_fontfamily("DejaVu Sans Mono")
    axes.set_title("what may be drawn", loc="left", fontsize=10.5, color=figures.INK)


def _draw_tree(axes: Axes, data: Decoding, rows: int) -> None:
    for column, layer in enumerate(data.tree.layers[: data.shown]):
        for row, node in enumerate(layer):
            _draw_edge(axes, column, row, node.parent, node.fate)
            _draw_node(axes, column, row, data.names[node.token], node.logprob, node.fate, data.shown)
    axes.set(xlim=(-0.26 - 0.12 * max(data.shown, 4), max(data.shown, 4) - GAP + 0.02), ylim=(max(rows, 6), 0))
    axes.text(-0.3, 0.5, "prompt", ha="right", va="center", fontsize=9, color=figures.INK)
    axes.set_xticks([column + BOX / 2 for column in range(data.shown)], labels=[str(i + 1) for i in range(data.shown)])
    axes.set_yticks([])
    axes.grid(False)
    axes.tick_params(bottom=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    figures.label_axes(axes, x="step of the beam search")
    axes.set_title(_title(data), loc="left", fontsize=10.5, color=figures.INK, parse_math=False)


def _title(data: Decoding) -> str:
    words = f"beam search, width {data.width}, to the end of the line"
    if not data.is_over or not data.tree.hypotheses:
        return words
    best = "".join(data.names[token] for token in data.tree.hypotheses[0].token_ids)
    return f"{words}; best: {figures.show_token(best, 40)}"


def _draw_edge(axes: Axes, column: int, row: int, parent: int, fate: str) -> None:
    start = column - GAP - 0.02, (parent if parent >= 0 else 0) + 0.5
    style: dict[str, Any] = {"linewidth": 1, "linestyle": ":"} if fate == "dropped" else {"linewidth": 1.8}
    colour = figures.GREY if fate == "dropped" else COLOURS[fate]
    axes.plot([start[0], column], [start[1], row + 0.5], color=colour, zorder=1, **style)


def _draw_node(axes: Axes, column: int, row: int, token: str, logprob: float, fate: str, columns: int) -> None:
    from matplotlib.patches import Rectangle

    colour = COLOURS[fate]
    hatch, edge = ("////", figures.GREY) if fate == "dropped" else (None, "white")
    axes.add_patch(Rectangle((column, row + 0.12), BOX, 0.76, facecolor=colour, edgecolor=edge, hatch=hatch, zorder=2))
    words = "⏎" if "\n" in token else figures.show_token(token, 8 if columns <= 5 else 4)
    ground: dict[str, Any] = {"bbox": {"facecolor": colour, "edgecolor": "none", "pad": 0.8}} if hatch else {}
    ink: dict[str, Any] = {"color": figures.ink_on(colour), "va": "center", "zorder": 3, "parse_math": False}
    axes.text(column + 0.04, row + 0.52, words, fontsize=8.5, family="DejaVu Sans Mono", **ground, **ink)
    axes.text(column + BOX - 0.03, row + 0.52, f"{logprob:.1f}", ha="right", fontsize=7.5, **ground, **ink)
