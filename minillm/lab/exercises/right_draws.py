"""The exercise 16.draws: drafts drawn from one distribution, tokens distributed as another.

Graded by what comes out: thousands of passes over small distributions, counted, and held against the target's own odds by
chi-square. The noise is seeded, so a verdict is the same every time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

PASSES = 2500
# The target's rows and the draft's: they disagree, and each excludes something that the other likes.
P = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.0, 0.0], [0.25, 0.0, 0.25, 0.5]]
Q = [[0.4, 0.3, 0.2, 0.1], [0.3, 0.0, 0.7, 0.0]]
SURE = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
# The chi-square that is exceeded once in ten thousand times, by degrees of freedom.
LIMITS = {2: 18.4, 3: 21.1, 4: 23.5, 7: 29.9}


class Noise:
    """noise() -> a number in [0, 1), a new one every time, in a known order."""

    def __init__(self, seed: int, first: float | None = None) -> None:
        self.rng, self.first = random.Random(seed), first

    def __deepcopy__(self, memo: dict) -> Noise:
        return self  # fresh numbers, not a copy of old ones

    def __call__(self) -> float:
        first, self.first = self.first, None
        return self.rng.random() if first is None else first


def chi_square(counts: Counter, odds: dict) -> float:
    """How far counts lie from odds; infinite where something came out that cannot."""
    total = sum(counts.values())
    if not total or any(odds.get(outcome, 0) == 0 for outcome in counts):
        return float("inf")
    return sum((counts[o] - total * p) ** 2 / (total * p) for o, p in odds.items() if p > 0)


def _passes(call: LearnerCall, p: Sequence, q: Sequence, seed: int, count: int = PASSES):  # type: ignore[no-untyped-def]
    """Drafts drawn from q, and what the answer makes of them, `count` times.

    Many short calls: the function itself is called, on copies made here, within the law's own time limit.
    """
    noise, rng = Noise(seed), random.Random(seed + 1)
    for _ in range(count):
        drafts = [rng.choices(range(len(row)), row)[0] for row in q]
        got = call.function([list(row) for row in p], [list(row) for row in q], list(drafts), noise)
        if not isinstance(got, list) or not got:
            raise TypeError(f"sample must return a list of tokens; got {got!r:.60}")
        yield drafts, got, rng


def _first_tokens(call: LearnerCall) -> Finding | None:
    counts = Counter(got[0] for _, got, _ in _passes(call, P[:2], Q[:1], 1))
    return _verdict(counts, dict(enumerate(P[0])))


def _pairs(call: LearnerCall) -> Finding | None:
    counts: Counter = Counter()
    for _, got, rng in _passes(call, P, Q, 2):
        # What a pass leaves out the next one writes: p itself.
        text = [*got, *(rng.choices(range(4), P[i])[0] for i in range(len(got), 2))]
        counts[tuple(text[:2])] += 1
    return _verdict(counts, {(a, b): P[0][a] * P[1][b] for a in range(4) for b in range(4)})


def _bonus(call: LearnerCall) -> Finding | None:
    counts = Counter(got[2] for _, got, _ in _passes(call, P, Q, 3) if len(got) == 3)
    return _verdict(counts, dict(enumerate(P[2])))


def _without_drafts(call: LearnerCall) -> Finding | None:
    counts = Counter(got[0] for _, got, _ in _passes(call, P[:1], [], 4))
    return _verdict(counts, dict(enumerate(P[0])))


def _verdict(counts: Counter, odds: dict) -> Finding | None:
    limit = LIMITS[sum(p > 0 for p in odds.values()) - 1]
    found = chi_square(counts, odds)
    if found <= limit:
        return None
    total = max(1, sum(counts.values()))
    worst = max((o for o in {**odds, **counts}), key=lambda o: abs(counts[o] / total - odds.get(o, 0)))
    facts = (
        ("token" + "s" * isinstance(worst, tuple), str(worst)),
        ("got", f"{counts[worst] / total:.1%} of the time"),
    )
    return Finding("", (*facts, ("want", f"{odds.get(worst, 0):.1%}"), ("chi-square", f"{found:.0f}, above {limit}")))


def _overlap(call: LearnerCall) -> Finding | None:
    kept = sum(len(got) == 2 for _, got, _ in _passes(call, P[:2], Q[:1], 5)) / PASSES
    want = sum(map(min, P[0], Q[0]))
    if abs(kept - want) < 0.04:
        return None
    return Finding("", (("kept", f"{kept:.1%} of the drafts"), ("want", f"{want:.1%}, the sum of min(p, q)")))


def _shape(call: LearnerCall) -> Finding | None:
    for i in range(50):
        drafts, got = [i % 4, 2 * (i % 2)], call(P, Q, [i % 4, 2 * (i % 2)], Noise(i))
        if not isinstance(got, list) or not all(type(t) is int for t in got) or not 1 <= len(got) <= 3:
            return Finding(
                "", (("drafts", str(drafts)), ("got", str(got)[:60]), ("want", "a list of 1 to 3 token ids"))
            )
    return None


def _forced(
    name: str, meaning: str, p: list, q: list, drafts: list[int], want: list[int], first: float | None = None
) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        for seed in range(40):
            got = call(p, q, drafts, Noise(seed, first))
            if got != want:
                return Finding(
                    "", (("p", str(p)), ("q", str(q)), ("drafts", str(drafts)), ("got", str(got)), ("want", str(want)))
                )
        return None

    return Property(name, law, meaning)


HALF = [0.5, 0.5, 0.0]
DRAWS = Exercise(
    id="16.draws",
    title="Drawn by one, distributed as the other",
    statement=(
        "p are the target's k + 1 distributions and q the draft's k, lists of probabilities; drafts are k tokens, drawn from q; noise() gives "
        "a new number in [0, 1). Return 1 to k + 1 tokens, distributed exactly as if the target had drawn them, keeping as many drafts as possible."
    ),
    signature="sample(p, q, drafts, noise)",
    layers={
        "contract": (Property("tokens", _shape, "The answer is a list of 1 to k + 1 token ids, as plain ints."),),
        "values": (
            _forced("a sure target agrees", "The target could draw nothing else, so the draft stays and its own token follows.", SURE[:2], [HALF], [1], [1, 2]),
            _forced("a sure target disagrees", "The target never draws this token: it goes, and the only possible one takes its place.", SURE[:2], [HALF], [0], [1]),
            _forced("a noise of zero", "The noise may be 0 exactly. A token that the target never draws goes even then.", SURE[:2], [HALF], [0], [1], first=0.0),
            _forced("nothing is kept behind a rejection", "What was drafted behind a rejected token belongs to another text.", SURE, [HALF, HALF], [0, 1], [1]),
            _forced("equal distributions", "Where p and q are equal every draft is kept.", [HALF, HALF, SURE[1]], [HALF, HALF], [1, 0], [1, 0, 2]),
            _forced("the surplus has one token", "p has more than q in one token alone: it must be that one.",
                    [[0.0, 0.5, 0.5], SURE[0]], [HALF], [0], [2]),
        ),
        "properties": (
            Property("first tokens", _first_tokens, "The first token is not distributed as the target's."),
            Property("pairs", _pairs, "Two tokens in a row are not distributed as the target's."),
            Property("the bonus", _bonus, "The token behind the last draft is not distributed as the target's last row."),
            Property("no drafts at all", _without_drafts, "Without drafts the token is drawn from p."),
        ),
        "resources": (Property("as many as possible", _overlap, "A draft can be kept as often as p and q overlap; fewer wastes passes."),),
    },
    hints=(
        "Keep a draft x always where the target likes it at least as much as the draft did, and sometimes where it likes it less. How often, "
        "so that x does not come out too often? And what is then still missing?",
        "Keep x with probability min(1, p(x) / q(x)). What was kept so far comes out min(p, q) of the time; missing is max(0, p - q), and "
        "that, made to sum to 1, is what the one token behind the kept ones is drawn from. If all are kept: from p's last row.",
        "for i, x in enumerate(drafts):\n    if noise() * q[i][x] < p[i][x]: continue\n"
        "    surplus = [max(0, a - b) for a, b in zip(p[i], q[i])]\n    return drafts[:i] + [a token drawn from surplus / sum(surplus)]\n"
        "return drafts + [a token drawn from p[-1]]",
    ),
    solution="minillm/decoding/speculative.py: rejection_sample",
    time_limit_s=30.0,
)  # fmt: skip
