"""The exercise 15.top_p: which tokens top-p keeps.

Half of the cases are sums of powers of two, where nothing rounds; the others keep away from the line. What is judged is the
set: enough, not one too many, the best, and among equals the lowest ids.
"""

from __future__ import annotations

import itertools

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def kept_one_by_one(probabilities: torch.Tensor, p: float) -> torch.Tensor:
    """The definition: take the best that is left until p is reached."""
    row = probabilities.tolist()
    kept, mass = torch.zeros(len(row), dtype=torch.bool), 0.0
    for token in sorted(range(len(row)), key=lambda i: (-row[i], i)):
        kept[token] = True
        mass += row[token]
        if mass >= p and p < 1:
            break
    return kept


def _case(name: str, meaning: str, row: list[float], p: float) -> Values:
    def place(index: tuple[int, ...]) -> str:
        return f"token {index[0]}, of probability {row[index[0]]:g}"

    return Values(name, lambda: given(torch.tensor(row), p), kept_one_by_one, meaning, where=place, dtype=torch.bool)


def _drawn(seed: int) -> torch.Tensor:
    scale = (0.1, 1.0, 4.0)[seed % 3]
    return (scale * inputs.normal(f"nucleus {seed}", (5, 50, 400)[seed // 3 % 3])).softmax(-1)


def _enough_and_no_more(call: LearnerCall) -> Finding | None:
    for seed in range(9):
        for p in (0.05, 0.3, 0.7, 0.95, 0.999):
            row = _drawn(seed)
            kept = call(row, p)
            if not kept.any():
                return Finding("", (("p", str(p)), ("kept", "nothing")))
            mass = row.double()[kept].sum().item()
            least = row.double()[kept].min().item()
            facts = (
                ("tokens", str(len(row))),
                ("p", str(p)),
                ("kept", f"{int(kept.sum())} tokens, {mass:.4f} of the mass"),
            )
            if mass < p - 1e-5:
                return Finding("", (*facts, ("what", "not enough")))
            if mass - least > p + 1e-5:
                return Finding("", (*facts, ("what", "p is reached without the least likely of them")))
            if not kept.all() and row[kept].min() < row[~kept].max():
                return Finding("", (*facts, ("what", "a better token was cut than one that was kept")))
    return None


def _order_is_nothing(call: LearnerCall) -> Finding | bool | None:
    row = _drawn(4)
    order = torch.randperm(len(row), generator=inputs.generator("nucleus order"))
    return same(call(row[order], 0.8), call(row, 0.8)[order])


def _grows_with_p(call: LearnerCall) -> bool:
    row = _drawn(7)
    kept = [call(row, p / 20) for p in range(1, 21)]
    return all(bool((~a | b).all()) for a, b in itertools.pairwise(kept)) and bool(kept[-1].all())


V = 4096
TOP_P = Exercise(
    id="15.top_p",
    title="What top-p keeps",
    statement=(
        "probabilities (V,), which sum to 1, and p in (0, 1] -> a boolean (V,): the fewest best tokens whose probabilities together "
        "reach p. Among equal tokens the lowest ids are taken first. p = 1 keeps everything."
    ),
    signature="top_p(probabilities, p)",
    layers={
        "contract": (
            Contract("a boolean a token", lambda: given(_drawn(1), 0.5), kept_one_by_one, dtype=torch.bool),
            Contract("one token", lambda: given(torch.ones(1), 0.5), kept_one_by_one, dtype=torch.bool),
        ),
        "values": (
            _case("the one that crosses", "0.5 alone falls short of 0.6: the token that crosses the line is kept.", [0.5, 0.25, 0.125, 0.125], 0.6),
            _case("exactly p", "0.5 and 0.25 reach 0.75, and nothing more is needed.", [0.5, 0.25, 0.125, 0.125], 0.75),
            _case("the best alone", "One token that reaches p is enough.", [0.125, 0.75, 0.125], 0.75),
            _case("in any order", "The best come first wherever they stand.", [0.0625, 0.25, 0.0625, 0.5, 0.125], 0.8),
            _case("equal tokens", "Of equal tokens the lowest ids are kept, and only as many as it takes.", [0.25, 0.25, 0.25, 0.25], 0.5),
            _case("equal at the end", "Two tokens tie for the last place: the lower id gets it.", [0.125, 0.5, 0.125, 0.25], 0.8),
            _case("a tiny p", "At least the best is kept, however small p is.", [0.25, 0.5, 0.25], 1e-30),
            _case("p is 1", "Nothing is cut, not even what cannot come.", [0.5, 0.25, 0.25, 0.0], 1.0),
            _case("nearly 1", "The line can be crossed by the very last token.", [0.5, 0.25, 0.125, 0.125], 0.9),
            _case("one token has it all", "What has no probability is not needed.", [0.0, 1.0, 0.0], 0.9),
        ),
        "properties": (
            Property("enough and no more", _enough_and_no_more, "Together they reach p; without the least of them they don't; and nothing better was cut."),
            Property("any order of ids", _order_is_nothing, "Which id a token has matters between equals only."),
            Property("a larger p keeps more", _grows_with_p, "What a small p keeps, a larger one keeps too."),
        ),
        "resources": (
            Budget("a sort, not a table", lambda: given(torch.full((V,), 1 / V), 0.5), {"largest_tensor_bytes": 8 * V},
                   "Comparing every token with every other makes a table of V times V; sorting needs a row."),
        ),
    },
    hints=(
        "Sort, best first. Then the running sum says how far one has come.",
        "A token is kept if the sum of those before it is still below p. That keeps the one that crosses, and always the first.",
        "best, order = probabilities.sort(descending=True, stable=True)\nbefore = best.cumsum(-1) - best\n"
        "kept = zeros of bool;  kept[order] = (before < p);  p = 1 and the first are special",
    ),
    solution="minillm/decoding/support.py: candidates, and notebooks/solutions/lesson_15.py: top_p",
    time_limit_s=6.0,
)  # fmt: skip
