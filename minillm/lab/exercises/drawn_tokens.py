"""The exercise 15.draw: a token a row, by laying a row's probabilities end to end and going as far as its noise says.

The oracle walks along each row in Python floats. Noises stand in the middle of what they should find, or at the two ends,
so that rounding decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Budget, Property, given
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

LAST = 1 - 2.0**-53  # the largest noise there is


def drawn_by_walking(probabilities: torch.Tensor, noises: Sequence[float]) -> list[int]:
    """The definition, a token at a time."""
    tokens = []
    for row, noise in zip(probabilities.double().tolist(), noises, strict=True):
        mark, sums = noise * sum(row), accumulate(row)
        tokens.append(next(token for token, reached in enumerate(sums) if reached > mark))
    return tokens


def _rows(*rows: Sequence[float]) -> torch.Tensor:
    return torch.tensor(rows)


def _as_ids(got: Any) -> Any:
    return got.tolist() if isinstance(got, torch.Tensor) else got


def _case(name: str, meaning: str, rows: torch.Tensor, noises: list[float]) -> Property:
    want = drawn_by_walking(rows, noises)

    def law(call: LearnerCall) -> Finding | None:
        got = _as_ids(call(rows, noises))
        if list(got) == want:
            return None
        shown = "; ".join(" ".join(f"{share:g}" for share in row[:8]) for row in rows.tolist()[:3])
        facts = ("rows", clip(shown, 90)), ("noises", clip(str(noises), 60)), ("got", clip(str(got), 60))
        return Finding("", (*facts, ("want", clip(str(want), 60))))

    return Property(name, law, meaning)


def _returns_ids(call: LearnerCall) -> Finding | None:
    got = call(_rows([0.25, 0.75], [0.5, 0.5], [1.0, 0.0]), [0.5, 0.1, 0.9])
    if not isinstance(got, list | torch.Tensor) or len(got) != 3 or not all(isinstance(t, int) for t in _as_ids(got)):
        return Finding("", (("got", clip(repr(got), 60)), ("want", "a list of three whole numbers")))
    return None


def _many_rows() -> tuple[torch.Tensor, list[float]]:
    rows = (3 * inputs.normal("draw in company", 40, 301)).softmax(-1)
    return rows, torch.rand(40, generator=inputs.generator("draw noises"), dtype=torch.float64).tolist()


def _alone_as_in_company(call: LearnerCall) -> Finding | None:
    rows, noises = _many_rows()
    together = _as_ids(call(rows, noises))
    for b in range(len(rows)):
        [alone] = _as_ids(call(rows[b : b + 1], noises[b : b + 1]))
        if alone != together[b]:
            return Finding("", (("row", str(b)), ("alone", str(alone)), ("in company", str(together[b]))))
    return None


def _same_twice(call: LearnerCall) -> bool:
    rows, noises = _many_rows()
    return _as_ids(call(rows, noises)) == _as_ids(call(rows, noises))


def _shares(call: LearnerCall) -> Finding | None:
    """A thousand noises in even steps: each token as often as its share says, give or take one."""
    row = torch.tensor([0.125, 0.0, 0.5, 0.3125, 0.0625])
    drawn = list(_as_ids(call(row.expand(1000, 5), [(i + 0.5) / 1000 for i in range(1000)])))
    counts = [drawn.count(token) for token in range(5)]
    if all(abs(count - 1000 * share) <= 1 for count, share in zip(counts, row.tolist(), strict=True)):
        return None
    return Finding("", (("got", str(counts)), ("want", str([round(1000 * share) for share in row.tolist()]))))


MANY = (16, 2048)
DRAW = Exercise(
    id="15.draw",
    title="One token a row",
    statement=(
        "probabilities (B, V) and a list of B noises in [0, 1) -> a list of B token ids. In each row lay the tokens end to end in order "
        "of id, each as long as its probability; the token is the first at which the running sum exceeds noise times the row's sum. A "
        "row may sum to something else than 1, and a token of probability 0 is never drawn."
    ),
    signature="draw(probabilities, noises)",
    layers={
        "contract": (Property("a token a row", _returns_ids, "Return one whole number for each row."),),
        "values": (
            _case("three shares", "With shares 0.2, 0.5 and 0.3 the noise 0.6 falls into the second.", _rows([0.2, 0.5, 0.3]), [0.6]),
            _case("a noise a row", "Each row has its own noise.", _rows([0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]), [0.1, 0.6, 0.9]),
            _case("in order of id", "The tokens lie in order of id, not of probability.", _rows([0.1, 0.6, 0.3]), [0.05]),
            _case("a row that sums to half", "After a cut a row need not sum to 1: the noise is a share of its sum.", _rows([0.1, 0.25, 0.15]), [0.6]),
            _case("a row that sums to eight", "Counts will do as well as probabilities.", _rows([2.0, 5.0, 1.0]), [0.5]),
            _case("noise 0", "At noise 0 the sum must exceed 0, so tokens of probability 0 are passed over.", _rows([0.0, 0.0, 0.5, 0.5]), [0.0]),
            _case("the largest noise", "The last token that has any probability, not the last token.", _rows([0.5, 0.5, 0.0, 0.0]), [LAST]),
            _case("one token", "A vocabulary of one.", _rows([0.25], [1.0]), [0.0, LAST]),
            _case("zeros between", "A token of probability 0 takes no room.", _rows([0.25, 0.0, 0.0, 0.75]), [0.25]),
        ),
        "properties": (
            Property("alone as in company", _alone_as_in_company, "What stands in other rows must not change a row's token."),
            Property("the same again", _same_twice, "All chance comes from the noises: the same ones give the same tokens."),
            Property("as often as it should", _shares, "Over evenly spaced noises each token comes as often as its share says."),
        ),
        "resources": (
            Budget("a running sum a row", lambda: given(torch.ones(MANY), [0.5] * MANY[0]), {"largest_tensor_bytes": 8 * MANY[0] * MANY[1]},
                   "A running sum needs one number a token; nothing here is as large as V times V."),
        ),
    },
    hints=(
        "The running sums of a row climb from its first share to its sum. Where do they first pass the mark?",
        "torch.searchsorted finds the place in a sorted row. With right=True it gives the first entry that is larger than the mark; rows are "
        "searched each by itself.",
        "running = probabilities.double().cumsum(-1)\nmarks = noises as float64 (B, 1) * running[:, -1:]\n"
        "torch.searchsorted(running, marks, right=True)[:, 0].tolist()",
    ),
    solution="minillm/decoding/sampling.py: _invert, and notebooks/solutions/lesson_15.py: draw",
    time_limit_s=6.0,
)  # fmt: skip
