"""Which token, and which text? What is left to draw from after the cuts, and a beam search for the rest of the line.

On the left the likeliest next tokens under temperature, top-k, top-p and min-p. On the right a beam search over the same
prompt, one step after another: what lives on, what has finished, and what was dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Explorer, Slider, State, Steps, Still, TextLine, show
from minillm.lab.widgets.decoding_picture import draw_decoding
from minillm.lab.widgets.next_tokens import NextToken, describe_next_token, rank_tokens

if TYPE_CHECKING:
    from minillm.lab.widgets.beam_story import BeamTree
    from minillm.lab.widgets.shell import Panel

PROMPT = "class Reader:\n    def __init__(self,"
MAX_STEPS = 8
WIDTHS = (1, 2, 3, 4, 5)
PENALTIES = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Decoding:
    """What may be drawn next, and the first `step` steps of a beam search; `names` spells the tokens of the tree."""

    next_token: NextToken
    tree: BeamTree
    names: dict[int, str]
    width: int
    length_penalty: float
    step: int

    @property
    def shown(self) -> int:
        """Steps there are to show: a search may be over before."""
        return min(self.step, len(self.tree.layers))

    @property
    def is_over(self) -> bool:
        """Whether the last step is shown."""
        return self.shown == len(self.tree.layers)

    def text(self, layer: int, place: int) -> str:
        """The text that ends in a node of the tree."""
        return "".join(self.names[token] for token in self.tree.token_ids(layer, place))


def decoding_explorer(model: Any, tokenizer: Any, prompt: str = PROMPT) -> Panel | Still:
    """model, tokenizer, prompt -> a widget: what four cuts leave of the next token, and a beam search to the end of the line.

    Raises InvalidValue for an empty prompt, or one without room for eight tokens more.
    """
    return show(explore_decoding(model, tokenizer, prompt))


def explore_decoding(model: Any, tokenizer: Any, prompt: str = PROMPT) -> Explorer[Decoding]:
    """The same without the controls: `.data(width=4)`, `.text(step=2)`, `.still(min_p=0.1)`."""
    controls = (
        TextLine("prompt", "Prompt", "Enter to run", prompt.replace("\n", "\\n")),
        Slider("temperature", "Temperature", "0 = greedy", 0.0, 2.0, 0.05, 1.0),
        Slider("top_k", "Top-k", "tokens, 0 = all", 0, 50, 1, 0),
        Slider("top_p", "Top-p", "share of mass", 0.05, 1.0, 0.05, 0.7),
        Slider("min_p", "Min-p", "share of the best", 0.0, 1.0, 0.05, 0.0),
        Steps("width", "Beam width", "texts", WIDTHS, 3),
        Steps("length_penalty", "Length penalty", "", PENALTIES, 1.0),
        Slider("step", "Beam steps", "tokens", 1, MAX_STEPS, 1, MAX_STEPS),
    )
    return Explorer("Decoding explorer", controls, _computer(model, tokenizer), draw_decoding, describe_decoding)


def describe_decoding(data: Decoding) -> str:
    """The tokens that may be drawn, then the beams after the last step shown, and in the end the hypotheses."""
    lines = ["sampling:", *(f"  {line}" for line in describe_next_token(data.next_token).splitlines()[:8])]
    lines += [f"beam search, width {data.width}: step {data.shown} of {len(data.tree.layers)}"]
    layer = data.shown - 1
    for place, node in enumerate(data.tree.layers[layer]):
        text = figures.show_token(data.text(layer, place), 40)
        lines.append(f"  {node.fate:<8}  {node.logprob:7.2f}  {text}")
    if data.is_over:
        lines += [f"best first, by log-probability / tokens^{data.length_penalty:g}:"]
        for one in data.tree.hypotheses:
            text = figures.show_token("".join(data.names[token] for token in one.token_ids), 40)
            lines.append(f"  {one.score:8.3f}  {len(one.token_ids)} tokens  {text}")
    return "\n".join(lines)


def _computer(model: Any, tokenizer: Any) -> Callable[[State], Decoding]:
    import torch

    from minillm.decoding import BeamRules
    from minillm.lab.widgets.beam_story import grow

    # A line is over with any token that has a line's end in it.
    ends = tuple(
        i for i in range(tokenizer.vocab_size) if i == tokenizer.eos_token_id or "\n" in tokenizer.token_text(i)
    )

    def name(token: int) -> str:
        return figures.show_token(tokenizer.token_text(token), 11)

    @lru_cache(maxsize=8)
    def read(prompt: str) -> tuple[int, ...]:
        ids = tuple(tokenizer.encode(prompt.replace("\\n", "\n")))
        room = model.config.max_position_embeddings - MAX_STEPS
        if not 0 < len(ids) <= room:
            rule = f"a prompt has 1 to {room} tokens"
            raise InvalidValue(rule_numbers_remedy(rule, str(len(ids)), "type some code, and not too much"))
        return ids

    @lru_cache(maxsize=256)
    def logits(texts: tuple[tuple[int, ...], ...]) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor(texts))[:, -1].float().cpu()

    @lru_cache(maxsize=64)
    def tree(ids: tuple[int, ...], width: int, penalty: float) -> BeamTree:
        rules = BeamRules(width, MAX_STEPS, penalty, ends)
        return grow(lambda texts: logits(tuple(ids + text for text in texts)), rules)

    def compute(state: State) -> Decoding:
        ids = read(state["prompt"])
        cuts = {cut: state[cut] for cut in ("prompt", "temperature", "top_k", "top_p", "min_p")}
        found = tree(ids, state["width"], state["length_penalty"])
        tokens = {node.token for layer in found.layers for node in layer}
        names = {token: tokenizer.token_text(token) for token in sorted(tokens)}
        options = {option: state[option] for option in ("width", "length_penalty", "step")}
        return Decoding(rank_tokens(logits((ids,))[0], name, **cuts), found, names, **options)

    return compute
