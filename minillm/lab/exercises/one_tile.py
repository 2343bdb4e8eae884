"""The exercise 05.rescale: one turn of flash attention's loop, from the state before a tile to the state after it.

What is right is not taken from a loop: the state of all the keys so far can be written down from the definition, and
whatever way an answer takes must lead there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

State = tuple[Tensor, Tensor, Tensor]
Change = Callable[[Tensor], Tensor]
L, D = 4, 3
INF = math.inf


def state_of(scores: Tensor, values: Tensor) -> State:
    """scores (L, S), values (S, D) -> acc (L, D), l (L,) and m (L,) by their definitions, in the dtype given."""
    nothing = scores.new_full((len(scores), 1), -INF)
    m = torch.cat([nothing, scores], 1).amax(1)
    p = (scores - torch.where(m == -INF, 0.0, m)[:, None]).exp()
    return p @ values, p.sum(1), m


def _drawn(
    name: str, S: int, change: Change = lambda s: s, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    scores, values = inputs.normal(f"{name} scores", L, S), inputs.normal(f"{name} values", S, D)
    return change(scores).to(dtype), values.to(dtype)


def _step(scores: Tensor, values: Tensor, cut: int) -> Given:
    """The call that takes the state of the first `cut` keys across the rest."""
    before = state_of(scores[:, :cut].double(), values[:cut].double())
    return given(*(x.to(scores.dtype) for x in before), scores[:, cut:], values[cut:])


def _the_state(acc: Tensor, l: Tensor, m: Tensor, s: Tensor, v: Tensor) -> State:
    """What the answer must look like: the state that came in, in kind and shape."""
    return acc, l, m


def _compare(got: object, scores: Tensor, values: Tensor) -> Finding | None:
    if not isinstance(got, tuple | list) or len(got) != 3:
        return Finding("", (("got", type(got).__name__), ("want", "(acc, l, m)")))
    want = state_of(scores.double(), values.double())
    for label, theirs, ours in zip(("acc", "l", "m"), got, want, strict=True):
        if problem := same(
            theirs, ours.to(scores.dtype), (1e-9, 1e-10) if scores.dtype == torch.float64 else (1e-5, 1e-6)
        ):
            facts = tuple(fact for fact in problem.facts if fact[0] != "what")
            return Finding("", (("what", label), *facts))
    return None


def _case(
    name: str, meaning: str, S: int = 8, cut: int = 4, change: Change = lambda s: s, dtype=torch.float32
) -> Property:  # type: ignore[no-untyped-def]
    def law(call: LearnerCall) -> Finding | None:
        scores, values = _drawn(name, S, change, dtype)
        step = _step(scores, values, cut)
        return _compare(call(*step.args), scores, values)

    return Property(name, law, meaning)


def _walk(call: LearnerCall, scores: Tensor, values: Tensor, tile: int) -> State:
    state: State = state_of(scores[:, :0], values[:0])
    for start in range(0, scores.shape[1], tile):
        state = call(*state, scores[:, start : start + tile], values[start : start + tile])
    return state


def _any_tiles(call: LearnerCall) -> Finding | None:
    scores, values = _drawn("any tiles", 23, lambda s: 4 * s)
    findings = (_compare(_walk(call, scores, values, tile), scores, values) for tile in (1, 2, 5, 16, 23))
    return next((finding for finding in findings if finding), None)


def _any_order(call: LearnerCall) -> Finding | None:
    scores, values = _drawn("any order", 24, lambda s: 4 * s)
    for order in (torch.arange(23, -1, -1), scores[0].argsort(), scores[1].argsort(descending=True)):
        if problem := _compare(_walk(call, scores[:, order], values[order], 6), scores, values):
            return problem
    return None


def _hidden_walk(call: LearnerCall) -> Finding | None:
    scores, values = _drawn("hidden walk", 20)
    scores = scores.masked_fill(torch.arange(20)[None, :] >= 7 * torch.arange(L)[:, None], -INF)  # the first row: none
    return _compare(_walk(call, scores, values, 4), scores, values)


def _wide_tile() -> Given:
    scores, values = inputs.normal("wide scores", 32, 128), inputs.normal("wide values", 128, 64)
    return _step(scores, values, 64)


def _block(first: int, last: int, amount: float) -> Change:
    """Add `amount` to the scores of keys first … last - 1."""

    def change(scores: Tensor) -> Tensor:
        keys = torch.arange(scores.shape[1])
        return torch.where((first <= keys) & (keys < last), scores + amount, scores)

    return change


RESCALE = Exercise(
    id="05.rescale",
    title="One tile",
    statement=(
        "A block of L queries has seen some keys: acc (L, D), l (L,) and m (L,), as in lesson 03. The next tile brings "
        "its scores s (L, T), in natural units and -inf where hidden, and its values v (T, D). Return (acc, l, m) after it."
    ),
    signature="one_tile(acc, l, m, s, v)",
    forbid=("softmax", "logsumexp"),
    layers={
        "contract": (
            Contract("three tensors", lambda: _step(*_drawn("contract", 6), 4), _the_state),
            Contract("keeps float64", lambda: _step(*_drawn("64", 6, dtype=torch.float64), 4), _the_state),
        ),
        "values": (
            _case("the first tile", "Nothing has been seen: m is -inf, l and acc are 0.", cut=0),
            _case("m stays", "The tile is quieter: measure it against the m there was.", change=_block(0, 4, 6.0)),
            _case("m rises", "When m grows by x, both l and acc shrink by exp(-x).", change=_block(4, 8, 6.0)),
            _case("each row for itself", "Every query has its own m: take maximum and sum along the keys only."),
            _case("scores of ±100", "exp of a large score overflows: subtract the maximum first.", change=lambda s: 60 * s),
            _case("far below zero", "All scores are near -300: m starts below every score.", change=lambda s: s - 300, cut=0),
            _case("a hidden tile", "A tile of -inf changes nothing.", change=_block(4, 8, -INF)),
            _case("hidden so far", "Nothing seen before, something now: exp(-inf - m) is 0.", change=_block(0, 4, -INF)),
            _case("hidden wholly", "m is still -inf, and -inf - -inf is NaN: measure from 0.", change=lambda s: s - INF),
            _case("a tile of one key", "T need not be more than 1.", S=5, cut=4),
            _case("float64", "Keep the dtype: no tensor of a fixed dtype in between.", dtype=torch.float64),
        ),
        "properties": (
            Property("any tiles", _any_tiles, "The state after all keys cannot depend on where they were cut."),
            Property("any order", _any_order, "Nor on the order in which they came."),
            Property("rows that begin hidden", _hidden_walk, "Rows that see nothing, at first or ever, keep m = -inf, l = 0, acc = 0."),
        ),
        "resources": (
            Budget(
                "two-dimensional",
                _wide_tile,
                {"largest_tensor_bytes": 4 * 32 * 64 * 2},
                "Something of L × T × D numbers was made: the sum over keys is a matrix product, and needs no third axis.",
            ),
        ),
    },
    hints=(
        "acc and l are both measured from m. First find the new m; then everything has to be measured from there.",
        "Before and after: l · exp(m) = Σ exp(s) and acc · exp(m) = Σ exp(s) · v, over all the keys seen, for each row.",
        "m_new = the larger of m and the tile's maximum, a row at a time\n"
        "m_safe = m_new, or 0 where it is -inf\n"
        "p = exp(s measured from m_safe)          (L, T)\nalpha = exp(m measured from m_safe)       (L,)\n"
        "l and acc shrink by alpha, and gain the sum of p, and p @ v",
    ),
    solution="minillm/attention/tiled.py: attend_tile, and notebooks/solutions/lesson_05.py",
)  # fmt: skip
