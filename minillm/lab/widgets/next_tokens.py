"""What comes next? The model's probabilities for the next token, and what temperature, top-k and top-p do to them.

Temperature sharpens or flattens the whole distribution; top-k and top-p cut its tail, and what is left is scaled up to
sum to one again. The grey bars are the cut tokens at the probability they had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Explorer, Slider, State, Still, TextLine, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from minillm.lab.widgets.shell import Panel

NUM_SHOWN = 12
TITLE_WIDTH = 40


@dataclass(frozen=True)
class NextToken:
    """The `NUM_SHOWN` likeliest tokens, best first, with their probability `before` and `after` the cuts, and the totals."""

    prompt: str
    temperature: float
    tokens: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    mass_kept: float
    entropy_bits: float
    num_kept: int
    vocab_size: int


def next_token(model: Any, tokenizer: Any, prompt: str = "def read_lines(path):") -> Panel | Still:
    """model, tokenizer, prompt -> a widget: bars of the likeliest next tokens under temperature, top-k and top-p.

    Raises InvalidValue for an empty prompt. The prompt can be edited in place; the model runs once for each prompt.
    """
    return show(explore_next_token(model, tokenizer, prompt))


def explore_next_token(model: Any, tokenizer: Any, prompt: str = "def read_lines(path):") -> Explorer[NextToken]:
    """The same without the controls: `.data(temperature=0.5)`, `.text(top_k=3)`, `.still(top_p=0.9)`."""
    controls = (
        TextLine("prompt", "Prompt", "Enter to run", prompt),
        Slider("temperature", "Temperature", "0 = greedy", 0.0, 2.0, 0.05, 1.0),
        Slider("top_k", "Top-k", "tokens, 0 = all", 0, 50, 1, 0),
        Slider("top_p", "Top-p", "share of mass", 0.05, 1.0, 0.05, 1.0),
    )
    return Explorer("The next token", controls, _computer(model, tokenizer), draw_next_token, describe_next_token)


def _computer(model: Any, tokenizer: Any) -> Callable[[State], NextToken]:
    @lru_cache(maxsize=8)
    def last_logits(prompt: str) -> Tensor:
        import torch

        ids = tokenizer.encode(prompt)
        if not ids:
            raise InvalidValue(rule_numbers_remedy("a prompt needs at least one token", repr(prompt), "type some code"))
        with torch.no_grad():
            return model(torch.tensor([ids]))[0, -1].float().cpu()

    def compute(state: State) -> NextToken:
        logits = last_logits(state["prompt"])
        name = lambda token: figures.show_token(tokenizer.token_text(token))  # noqa: E731
        return rank_tokens(logits, name, **state)

    return compute


def rank_tokens(
    logits: Tensor,
    name: Callable[[int], str],
    *,
    prompt: str,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float = 0.0,
) -> NextToken:
    """logits (V,) and a way to name a token -> the table behind the bars. `top_k` 0 keeps every token."""
    from minillm.decoding import next_token_probabilities

    before = next_token_probabilities(logits, temperature)
    after = next_token_probabilities(logits, temperature, top_k or None, top_p, min_p)
    best = logits.argsort(descending=True, stable=True)[:NUM_SHOWN]
    kept = after[after > 0].double()
    return NextToken(
        prompt=prompt,
        temperature=temperature,
        tokens=tuple(name(int(token)) for token in best),
        before=tuple(before[best].tolist()),
        after=tuple(after[best].tolist()),
        mass_kept=float(before[after > 0].double().sum()),
        entropy_bits=abs(float((kept * kept.log2()).sum())),
        num_kept=len(kept),
        vocab_size=len(logits),
    )


def draw_next_token(data: NextToken) -> Figure:
    """Blue bars for what can be drawn, hatched grey for what was cut."""
    tail = "…" * (len(data.prompt) > TITLE_WIDTH) + figures.show_token(data.prompt[-TITLE_WIDTH:], TITLE_WIDTH + 8)
    title = f"After {tail}"
    fig = figures.figure(title, height=4.3)
    axes = fig.axes[0]
    shown = [a or b for a, b in zip(data.after, data.before, strict=True)]
    figures.bars(
        axes, data.tokens, [100 * p for p in shown], unit="probability of being next (%)", texts=shares_in_words(data)
    )
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 100])
    for bar, share in zip(axes.patches, data.after, strict=True):
        if not share:
            bar.set(facecolor=figures.PALE, edgecolor=figures.GREY, hatch="///")
    for label in axes.get_yticklabels():
        label.set_fontfamily("DejaVu Sans Mono")
    figures.caption(fig, f"{kept_in_words(data)}; entropy {data.entropy_bits:.2f} bits")
    return fig


def describe_next_token(data: NextToken) -> str:
    """The totals, then one line a token."""
    lines = [
        f"temperature {data.temperature:.2f}" + (": greedy, always the best token" if data.temperature == 0 else ""),
        f"{kept_in_words(data)} (mass kept); entropy {data.entropy_bits:.2f} bits",
    ]
    width = max(len(token) for token in data.tokens)
    rows = zip(data.tokens, shares_in_words(data), strict=True)
    return "\n".join([*lines, *(f"  {token:<{width}}  {share:>6}" for token, share in rows)])


def shares_in_words(data: NextToken) -> list[str]:
    """Each token's chance in words: "12.3%", "cut (was 4.0%)", or "never" at temperature 0."""
    if data.temperature == 0:
        return [_percent(share) if share else "never" for share in data.after]
    pairs = zip(data.after, data.before, strict=True)
    return [_percent(after) if after else f"cut (was {_percent(before)})" for after, before in pairs]


def _percent(share: float) -> str:
    if share >= 0.01:
        return f"{share:.1%}"
    return f"{share:.2%}" if share >= 0.0001 else "<0.01%"


def kept_in_words(data: NextToken) -> str:
    """How many tokens can still be chosen, and how probable they were together."""
    return f"{data.num_kept} of {data.vocab_size} tokens kept, {data.mass_kept:.1%} of the probability"
