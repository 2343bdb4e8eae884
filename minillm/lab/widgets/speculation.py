"""When does guessing pay? A real run, guess by guess, and the arithmetic of acceptance, price and company.

Above, the passes of the target over one text: what was proposed, what stayed, and what the target said itself. Below, for an
acceptance, a price of a draft and a number of texts of your choice: tokens a pass, and the time saved or lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from minillm.decoding.speculative import expected_tokens, speed_up
from minillm.errors import unknown_name
from minillm.lab import figures
from minillm.lab.guessed_runs import KINDS, WRITTEN, Pass, Run, guessed_run
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.speculation_picture import draw_speculation
from minillm.measure.hardware import KNOWN_HARDWARE

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

GUESSES = (1, 2, 3, 4, 6, 8)
COSTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
BATCHES = (1, 8, 32, 64, 128, 256)
SHOWN = 6  # passes in the picture
GPU = "H100-SXM"
# Two FLOPs and two bytes a weight in bfloat16: FLOPs a byte are tokens a pass.
RIDGE = KNOWN_HARDWARE[GPU].ridge_point("bfloat16")


@dataclass(frozen=True)
class Speculation:
    """A run seen up to pass `step`, and what speculation would give at this acceptance, price and batch."""

    kind: str
    k: int
    step: int
    run: Run
    acceptance: float
    draft_cost: float
    batch: int

    @property
    def shown(self) -> tuple[tuple[int, Pass], ...]:
        """The last passes up to `step`, each with its number, from 1 on."""
        numbered = tuple(enumerate(self.run.passes[: self.step], start=1))
        return numbered[-SHOWN:]

    @property
    def tokens(self) -> float:
        """Tokens that a pass gives at this acceptance."""
        return expected_tokens(self.acceptance, self.k)

    def saving(self, k: int, batch: int) -> float:
        """Time without speculation over time with it."""
        return speed_up(self.acceptance, k, self.draft_cost, batch=batch, ridge=RIDGE)

    @property
    def best(self) -> int:
        """The number of guesses, from none to the most, that saves most time for this batch."""
        return max(range(GUESSES[-1] + 1), key=lambda k: self.saving(k, self.batch))

    def word(self, token: int) -> str:
        """A token as it is drawn."""
        return figures.show_token(_tokenizer().token_text(token), 9 if self.k < 6 else 7)


def speculation_explorer(kind: str = "draft model, best tokens") -> Panel | Still:
    """One of the recorded runs to begin with -> a widget: guesses kept and dropped, pass by pass, and when guessing pays.

    The run is the engine's own; the curves are arithmetic. Raises InvalidValue, naming the nearest, for an unknown run.
    Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (2023).
    """
    return show(explore_speculation(kind))


def explore_speculation(kind: str = "draft model, best tokens") -> Explorer[Speculation]:
    """The same without the controls: `.data(step=3)`, `.text(batch=256)`, `.still(acceptance=0.5)`."""
    if kind not in KINDS:
        raise unknown_name("run", kind, KINDS)
    controls = (
        Choice("kind", "Run", "who guesses, how tokens are chosen", tuple(KINDS), kind),
        Steps("k", "Guesses k", "a pass", GUESSES, 4),
        Slider("step", "Pass", "", 1, WRITTEN, 1, 6),
        Slider("acceptance", "Acceptance", "a guess", 0.0, 1.0, 0.05, 0.8),
        Steps("draft_cost", "Draft", "passes of the target", COSTS, 0.05),
        Steps("batch", "Batch", "texts", BATCHES, 64),
    )
    return Explorer("Speculation explorer", controls, _compute, draw_speculation, describe_speculation)


def describe_speculation(data: Speculation) -> str:
    """The shown passes in symbols, the run's own numbers, and the arithmetic's."""
    run, lines = data.run, list[str]()
    lines.append(f"{data.kind}, {data.k} guesses a pass; passes up to {data.step} of {len(run.passes)}")
    lines.append("+ kept, x wrong, - not judged, > the target's own")
    for number, one in data.shown:
        judged = one.num_judged
        marks = ["+" if i < one.num_kept else "x" if i < judged else "-" for i in range(len(one.drafts))]
        words = [f"{mark}{data.word(token)}" for mark, token in zip(marks, one.drafts, strict=True)]
        lines.append(f"{number:>4}  {'  '.join([*words, '>' + data.word(one.written[-1])])}")
    written = sum(len(p.written) for p in run.passes)
    lines.append(
        f"the whole run: {written} tokens in {len(run.passes)} passes, {run.tokens_a_pass:.2f} a pass; "
        f"{run.acceptance:.0%} of judged guesses kept"
    )
    lines.append(f"at an acceptance of {data.acceptance:.0%}: {data.tokens:.2f} tokens a pass")
    alone, together = data.saving(data.k, 1), data.saving(data.k, data.batch)
    lines.append(
        f"a draft pass costs {data.draft_cost:g} of a target's: {alone:.2f} times as fast for 1 text, "
        f"{together:.2f} for {data.batch}; best there: k = {data.best}"
    )
    return "\n".join(lines)


def _compute(state: State) -> Speculation:
    run = guessed_run(state["kind"], state["k"])
    step = min(int(state["step"]), len(run.passes))
    prices = (float(state["acceptance"]), state["draft_cost"], state["batch"])
    return Speculation(state["kind"], state["k"], step, run, *prices)


@lru_cache(maxsize=1)
def _tokenizer():  # type: ignore[no-untyped-def]
    from minillm.model import load_tokenizer

    return load_tokenizer("tiny")
