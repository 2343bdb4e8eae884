"""The clinic of lesson 05: a block-wise attention with four faults, each of which can also be had alone.

05.symptoms asks for an input on which one fault alone shows; 05.clinic for the program without any. Faults are judged in
float64, so that an input shows a fault and not a rounding.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

FAULTS = ("replaces", "unshrunk", "low start", "zero sum")
MOST = 4096


def blockwise(
    q: Tensor, k: Tensor, v: Tensor, tile: int, causal: bool = False, *, faults: Collection[str] = ()
) -> Tensor:
    """q (L, D), k and v (S, D) -> (L, D), in tiles of `tile` keys, with the faults named; without any it is right.

    "replaces": a louder tile replaces acc. "unshrunk": l is not brought to the new maximum. "low start": m begins at
    -1e9. "zero sum": a row that saw nothing is divided by 0.
    """
    (L, D), S = q.shape, len(k)
    m = q.new_full((L, 1), -1e9 if "low start" in faults else -math.inf)
    l, acc = q.new_zeros(L, 1), q.new_zeros(L, v.shape[1])
    for start in range(0, S, tile):
        keys = torch.arange(start, min(start + tile, S))
        s = q @ k[keys].T / math.sqrt(D)
        if causal:
            s = s.masked_fill(keys > torch.arange(L)[:, None] + S - L, -math.inf)
        m_new = torch.maximum(m, s.amax(1, keepdim=True))
        m_safe = torch.where(m_new == -math.inf, 0.0, m_new)
        p, alpha = torch.exp(s - m_safe), torch.exp(m - m_safe)
        louder = m_new > m if "replaces" in faults else torch.zeros_like(m_new, dtype=torch.bool)
        acc = torch.where(louder, p @ v[keys], acc * alpha + p @ v[keys])
        l = l * (1.0 if "unshrunk" in faults else alpha) + p.sum(1, keepdim=True)
        m = m_new
    return acc / (l if "zero sum" in faults else torch.where(l == 0, 1.0, l))


def _input_problem(got: Any) -> Finding | None:
    """Why `got` is not (q, k, v, tile, causal), or None."""
    want = ("want", "(q (L, D), k (S, D), v (S, D), tile, causal)")
    if not isinstance(got, tuple | list) or len(got) != 5:
        kind = f"{len(got)} items" if isinstance(got, tuple | list) else type(got).__name__
        return Finding("Return the five arguments of a call.", (("got", kind), want))
    q, k, v, tile, causal = got
    if not all(isinstance(x, Tensor) and x.dim() == 2 and x.is_floating_point() for x in (q, k, v)):
        return Finding("q, k and v must be floating tensors of two axes.", (want,))
    if not (q.shape[1] == k.shape[1] and len(k) == len(v)) or not all(
        1 <= n <= MOST for x in (q, k, v) for n in x.shape
    ):
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        return Finding(f"The shapes must fit, with sizes from 1 to {MOST:,}.", (("got", shapes), want))
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1 or not isinstance(causal, bool):
        return Finding("tile is a whole number above 0, causal a bool.", (("got", f"{tile!r}, {causal!r}"),))
    finite = all(x.isfinite().all() for x in (q, k, v)) and (q.double() @ k.double().T).isfinite().all()
    return None if finite else Finding("q, k, v and the scores must be finite: nobody is to blame for the rest.")


def _shows(fault: str):  # type: ignore[no-untyped-def]
    def law(call: LearnerCall) -> Finding | None:
        got = call(fault)
        q, k, v = (x.detach().double() for x in got[:3])
        sick, right = (blockwise(q, k, v, got[3], got[4], faults=faults) for faults in ((fault,), ()))
        if not torch.allclose(sick, right, rtol=1e-3, atol=1e-3):
            return None
        shapes = f"L = {len(q)}, S = {len(k)}, tile {got[3]}, causal {got[4]}"
        return Finding(
            "", (("inputs", shapes), ("what", f"only {fault!r} was left in the program, and it answers right"))
        )

    return law


def _well_formed(call: LearnerCall) -> Finding | None:
    for fault in FAULTS:
        if problem := _input_problem(call(fault)):
            return Finding("", (("inputs", repr(fault)), ("what", problem.meaning), *problem.facts))
    return None


SYMPTOMS = Exercise(
    id="05.symptoms",
    title="Clinic: an input for each fault",
    statement=(
        f"For each of the faults {', '.join(map(repr, FAULTS))} return (q, k, v, tile, causal), finite, on which the patient "
        "with only that fault left differs from the right answer by more than a part in a thousand."
    ),
    signature="symptom(fault)",
    layers={
        "contract": (Property("a call's arguments", _well_formed, "Return (q, k, v, tile, causal)."),),
        "values": (
            Property("replaces", _shows("replaces"), "Here acc loses what earlier tiles left in it, and what was lost must matter."),
            Property("unshrunk", _shows("unshrunk"), "l is wrong only if m moves once there is something in l."),
            Property("low start", _shows("low start"), "m = -1e9 is harmless as long as some score of each row is larger."),
            Property("zero sum", _shows("zero sum"), "l is 0 at the end only for a row that sees no key."),
        ),
    },
    hints=(
        "Read off each faulty line when it computes the same as the right one. Your input must leave that case.",
        "Two tiles are enough for each. 'replaces': the second is louder, but not by so much that the first is forgotten. "
        "'unshrunk': the same. 'low start': every score of a row below -1e9. 'zero sum': a row that sees no key at all.",
        "q = ones (1, 1), k = the scores you want, as a column, v = 1, 2, 3, … as a column, tile = 2\n"
        "'low start': the same with scores near -2e9\n'zero sum': causal, with more queries than keys",
    ),
    solution="notebooks/solutions/lesson_05.py: symptom",
)  # fmt: skip


def _attend(q: Tensor, k: Tensor, v: Tensor, tile: int, causal: bool = False) -> Tensor:
    (L, D), S = q.shape, len(k)
    s = q @ k.T / math.sqrt(D)
    if causal:
        s = s.masked_fill(torch.arange(S) > torch.arange(L)[:, None] + S - L, -math.inf)
    return s.softmax(-1).nan_to_num(0.0) @ v


def _drawn(name: str, L: int, S: int, D: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(inputs.normal(f"{name} {x}", n, D) for x, n in (("q", L), ("k", S), ("v", S)))  # type: ignore[return-value]


def _case(name: str, meaning: str, L: int, S: int, tile: int, *, causal: bool = False, order: str = "", loud: float = 1.0) -> Values:  # fmt: skip
    def make() -> Given:
        q, k, v = _drawn(name, L, S)
        if order:  # all queries alike, so that one order of the keys is everybody's
            q = q[:1].expand(L, -1).clone()
            k = k[(q[0] @ k.T).argsort(descending=order == "falling")]
        return given(q, k * loud, v, tile, causal)

    return Values(name, make, _attend, meaning, where=lambda index: f"query {index[0]}, channel {index[1]}")


def _far_below() -> Given:
    """Every score is -4e9, exactly, so that nothing hangs on how float32 rounds there."""
    return given(torch.ones(2, 4), torch.full((8, 4), -2e9), inputs.normal("far below", 8, 4), 4)


def _any_tile(call: LearnerCall) -> Finding | None:
    q, k, v = _drawn("any tile", 5, 19)
    want = _attend(q, 3 * k, v, 1, True)
    findings = (same(call(q, 3 * k, v, tile, True), want) for tile in (1, 2, 7, 19, 64))
    return next((finding for finding in findings if finding), None)


CLINIC = Exercise(
    id="05.clinic",
    title="Clinic: block-wise attention, mended",
    statement="Mend the patient: q (L, D), k and v (S, D) -> attention (L, D), in tiles of `tile` keys, causal at the bottom right.",
    signature="mended(q, k, v, tile, causal=False)",
    forbid=("softmax", "logsumexp", "scaled_dot_product"),
    layers={
        "contract": (
            Contract("returns (L, D)", lambda: given(*_drawn("contract", 3, 4), 2), _attend),
            Contract("keeps float64", lambda: given(*(x.double() for x in _drawn("64", 3, 4)), 2), _attend),
        ),
        "values": (
            _case("one tile", "With one tile nothing has to be joined: this worked before.", 4, 8, 8),
            _case("loudest first", "The maximum lies in the first tile: this worked before.", 2, 12, 4, order="falling"),
            _case("loudest last", "When m grows, acc and l both shrink by exp(m - m_new), and the tile is added.", 2, 12, 4, order="rising"),
            _case("any keys", "Each query has its own order of loud and quiet tiles.", 6, 16, 4),
            _case("a short last tile", "12 keys in tiles of 5: the last has 2.", 3, 12, 5),
            _case("logits of ±100", "Exponentials are taken of differences, never of scores.", 4, 12, 4, loud=60.0),
            Values("far below zero", _far_below, _attend, "A row's scores may all lie below -1e9: only -inf is below every score."),
            _case("causal", "Query i sees key j if j ≤ i + S - L.", 6, 6, 2, causal=True),
            _case("causal, more keys", "Query i sees key j if j ≤ i + S - L.", 3, 9, 4, causal=True),
            _case("rows that see nothing", "More queries than keys: the first rows see nothing, and give 0, not NaN.", 7, 4, 2, causal=True),
        ),
        "properties": (Property("any tile", _any_tile, "Any tile size gives the same result."),),
        "resources": (
            Budget(
                "holds a tile, not the scores",
                lambda: given(*_drawn("budget", 16, 1024), 16),
                {"largest_tensor_bytes": 4 * 16 * 32},
                "Something much larger than a tile was stored: the scores must never exist all at once.",
            ),
        ),
    },
    hints=(
        "Four lines are wrong: where m starts, how l goes on, how acc goes on, and the division.",
        "After each tile acc · exp(m) is the sum of exp(s) · v over all keys so far. That is a sum: nothing in it is replaced.",
        "m starts at -inf; m_safe is 0 where m_new is -inf, else m_new\nalpha = exp(m - m_safe), and p = exp(s - m_safe)\n"
        "l = l · alpha + …, acc = acc · alpha + …\nat the end divide by l, or by 1 where l is 0",
    ),
    solution="minillm/lab/exercises/blockwise_faults.py: blockwise, and notebooks/solutions/lesson_05.py: mended",
)  # fmt: skip
