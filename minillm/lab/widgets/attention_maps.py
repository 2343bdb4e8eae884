"""Who looks where? One head's attention over a real text, as a map: each row is a token looking back at the columns.

A row sums to one, because softmax made it. Nothing lies right of the diagonal, because a token cannot look at what comes
after it. Change the layer and the head: some watch the previous token, some the first, some what the name stands for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Explorer, Slider, State, Still, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from minillm.lab.widgets.shell import Panel

MAX_TOKENS = 40
NUM_NAMED = 3
FUTURE = "#ECECEC"


@dataclass(frozen=True)
class AttentionMap:
    """One head of one layer over a text: `probabilities` (L, L) nested lists, row i is what token i looks at."""

    layer: int
    head: int
    tokens: tuple[str, ...]
    probabilities: list[list[float]]
    entropy_bits: float

    @property
    def last_row(self) -> list[float]:
        """Where the last token looks."""
        return self.probabilities[-1]

    @property
    def favourites(self) -> list[tuple[int, float]]:
        """The positions the last token looks at most, best first, with their share."""
        ranked = sorted(enumerate(self.last_row), key=lambda pair: (-pair[1], pair[0]))
        return ranked[:NUM_NAMED]


def attention_map(
    model: Any, tokenizer: Any, text: str = "def area(width, height):\n    return width *"
) -> Panel | Still:
    """model, tokenizer, text -> a widget: the attention map of any head of any layer. All maps are computed once.

    Raises InvalidValue for a text of no token or of more than `MAX_TOKENS`, which no map could label.
    """
    return show(explore_attention_map(model, tokenizer, text))


def explore_attention_map(
    model: Any, tokenizer: Any, text: str = "def area(width, height):\n    return width *"
) -> Explorer[AttentionMap]:
    """The same without the controls: `.data(layer=0, head=1)`, `.text(...)`, `.still(...)`."""
    import torch

    from minillm.model import attention_maps

    ids = tokenizer.encode(text)
    if not 1 <= len(ids) <= MAX_TOKENS:
        rule = f"a map can label 1 to {MAX_TOKENS} tokens"
        raise InvalidValue(
            rule_numbers_remedy(rule, f"{len(ids)}", "choose a shorter text" if ids else "give it some text")
        )
    maps = attention_maps(model, torch.tensor([ids]))[:, 0].float().cpu()  # (N, H, L, L)
    tokens = tuple(figures.show_token(tokenizer.token_text(token), 12) for token in ids)
    num_layers, num_heads = maps.shape[:2]
    controls = (
        Slider("layer", "Layer", f"0 first, {num_layers - 1} last", 0, num_layers - 1, 1, 0),
        Slider("head", "Head", f"0 to {num_heads - 1}", 0, num_heads - 1, 1, 0),
    )

    def compute(state: State) -> AttentionMap:
        return read_map(maps[state["layer"], state["head"]], tokens, **state)

    return Explorer("Attention map", controls, compute, draw_attention_map, describe_attention_map)


def read_map(probabilities: Tensor, tokens: tuple[str, ...], *, layer: int, head: int) -> AttentionMap:
    """probabilities (L, L) of one head -> the map with its last row's entropy in bits."""
    last = probabilities[-1].double()
    seen = last[last > 0]
    return AttentionMap(layer, head, tokens, probabilities.tolist(), abs(float((seen * seen.log2()).sum())))


def draw_attention_map(data: AttentionMap) -> Figure:
    """A heat map with tokens on both sides; the future is grey, and a line sets off the row of the last token."""
    fig = figures.figure(f"Layer {data.layer}, head {data.head}", width=7.0, height=5.8)
    axes, length = fig.axes[0], len(data.tokens)
    visible = [row[: i + 1] + [math.nan] * (length - i - 1) for i, row in enumerate(data.probabilities)]
    unit = "share of the row's attention"
    figures.heat_map(axes, visible, rows=data.tokens, columns=data.tokens, unit=unit, maximum=1.0)
    axes.set_facecolor(FUTURE)
    axes.axhline(length - 1.5, color=figures.VERMILLION, linewidth=1.5)
    figures.label_axes(axes, "looks at", "this token")
    figures.caption(
        fig, "Grey: the future, which a token cannot see. Below the line: the last token, which predicts the next."
    )
    return fig


def describe_attention_map(data: AttentionMap) -> str:
    """Where the last token looks, and how spread its attention is."""
    named = ", ".join(f"{data.tokens[i]} at {i} ({share:.0%})" for i, share in data.favourites)
    most = math.log2(len(data.tokens))
    return "\n".join(
        [
            f"layer {data.layer}, head {data.head}: the last token, {data.tokens[-1]} at {len(data.tokens) - 1}, looks most at {named}",
            f"on itself {data.last_row[-1]:.0%}, on the first token {data.last_row[0]:.0%}",
            f"spread {data.entropy_bits:.2f} bits (0 is one token, {most:.2f} is all {len(data.tokens)} alike)",
        ]
    )
