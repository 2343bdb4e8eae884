"""The exercise 03.merge: two attentions to two sets of keys become one, by their lse.

Numbers near the edge of floating point do the judging: parts that saw nothing, and sums whose exponentials overflow.
"""

from __future__ import annotations

import math

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

INF = math.inf


def _merge(
    out_a: torch.Tensor, lse_a: torch.Tensor, out_b: torch.Tensor, lse_b: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    lse = torch.logaddexp(lse_a, lse_b)
    safe = torch.where(lse == -INF, 0.0, lse)
    shares = (lse_a - safe).exp()[:, None], (lse_b - safe).exp()[:, None]
    return shares[0] * out_a + shares[1] * out_b, lse


def _part(name: str, S: int, L: int = 5, D: int = 8, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention of L queries to S keys of their own: out (L, D), lse (L,)."""
    scores, values = inputs.normal(f"{name} scores", L, S) * scale, inputs.normal(f"{name} values", S, D)
    lse = scores.logsumexp(-1)
    return (scores - lse[:, None]).exp() @ values if S else torch.zeros(L, D), lse


def _raised(part: tuple[torch.Tensor, torch.Tensor], by: float) -> tuple[torch.Tensor, torch.Tensor]:
    return part[0], part[1] + by


def _blind_rows() -> Given:
    (out, lse), other = _part("half blind", 6), _part("other half", 3)
    lse[:2], out[:2] = -INF, 0.0
    return given(out, lse, *other)


def _merge_case(name: str, meaning: str, first, second) -> Values:  # type: ignore[no-untyped-def]
    place = lambda index: f"query {index[0]}"  # noqa: E731
    return Values(name, lambda: given(*first(), *second()), _merge, meaning, where=place)


def _either_order(call: LearnerCall) -> Finding | bool | None:
    a, b = _part("first", 7), _part("second", 4)
    return same(call(*b, *a), call(*a, *b))


def _either_bracket(call: LearnerCall) -> Finding | bool | None:
    a, b, c = _part("one", 7, scale=3.0), _part("two", 4, scale=3.0), _part("three", 9, scale=3.0)
    return same(call(*call(*a, *b), *c), call(*a, *call(*b, *c)))


def _any_cut(call: LearnerCall) -> Finding | bool | None:
    scores, values = inputs.normal("any cut scores", 3, 12) * 2, inputs.normal("any cut values", 12, 4)
    want = scores.softmax(-1) @ values, scores.logsumexp(-1)
    for cut in range(13):
        parts = []
        for keys in (slice(0, cut), slice(cut, 12)):
            some = scores[:, keys]
            parts += [some.softmax(-1) @ values[keys], some.logsumexp(-1)]
        if finding := same(call(*parts), want):
            return finding
    return None


MERGE = Exercise(
    id="03.merge",
    title="Merge two partial attentions",
    statement=(
        "The same queries looked at two sets of keys. Each part is a result `out` (L, D) and its `lse` (L,), the natural log of "
        "the sum of exp(score). Return (out, lse) of both sets together. A part that saw nothing has out 0 and lse -inf."
    ),
    signature="merge(out_a, lse_a, out_b, lse_b)",
    layers={
        "contract": (
            Contract("returns out and lse", lambda: given(*_part("contract a", 6), *_part("contract b", 3)), _merge),
            Contract(
                "keeps float64", lambda: given(*(t.double() for t in (*_part("a", 6), *_part("b", 3)))), _merge
            ),
            Contract("one query, D = 1", lambda: given(*_part("1a", 2, 1, 1), *_part("1b", 2, 1, 1)), _merge),
        ),
        "values": (
            _merge_case("equal parts", "Equal lse means equal shares.", lambda: (_part("e", 6)[0], torch.ones(5)), lambda: (_part("f", 6)[0], torch.ones(5))),
            _merge_case("unequal parts", "A part's share is exp(lse of the part - lse of the whole).", lambda: _part("long", 20), lambda: _part("short", 3)),
            _merge_case("as wide as long", "lse has one number a query: it scales rows, not columns.", lambda: _part("square a", 6, 8), lambda: _part("square b", 3, 8)),
            _merge_case("a loud part", "Where one lse is far above the other, the quiet part has no share.", lambda: _raised(_part("loud", 6), 120.0), lambda: _part("quiet", 6)),
            _merge_case("lse near 200", "exp(200) overflows: only differences of lse may be exponentiated.", lambda: _raised(_part("high a", 6), 200.0), lambda: _raised(_part("high b", 4), 200.0)),
            _merge_case("lse near -200", "exp(-200) is 0 in floating point: only differences may be exponentiated.", lambda: _raised(_part("low a", 6), -200.0), lambda: _raised(_part("low b", 4), -200.0)),
            _merge_case("an empty first part", "A part that saw nothing changes nothing.", lambda: _part("none", 0), lambda: _part("some", 5)),
            _merge_case("an empty second part", "A part that saw nothing changes nothing.", lambda: _part("some", 5), lambda: _part("none", 0)),
            _merge_case("two empty parts", "Nothing and nothing is nothing: out 0 and lse -inf, never NaN.", lambda: _part("none", 0), lambda: _part("none", 0)),
            Values("some rows blind", _blind_rows, _merge, "Each query is merged on its own: some may have seen nothing in one part."),
        ),
        "properties": (
            Property("either order", _either_order, "Merging is adding: which part comes first must not show."),
            Property("either bracket", _either_bracket, "Of three parts, merging the first two first or the last two first is the same."),
            Property("any cut", _any_cut, "Cut the keys anywhere, attend to both sides, merge: it must be attention to all of them."),
        ),
    },
    hints=(
        "Undo the division: out · exp(lse) is the sum of exp(score) · v of a part. Sums can be added.",
        "The new lse is log(exp(lse_a) + exp(lse_b)). The two shares exp(lse_a - lse) and exp(lse_b - lse) sum to 1.",
        "m = the larger lse, row by row, and 0 where both are -inf\nlse = m + log(exp(lse_a - m) + exp(lse_b - m))\n"
        "out = exp(lse_a - lse) * out_a + exp(lse_b - lse) * out_b, with -inf - -inf kept out",
    ),
    solution="notebooks/solutions/lesson_03.py: merge",
)  # fmt: skip
