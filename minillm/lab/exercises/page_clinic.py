"""The clinic of lesson 10: a little paged store of texts that mixes up who owns what.

The mended class is driven beside a model that cannot be wrong, a plain list of rows for each text. Nothing is asked of its
insides; whether a fork shares and whether pages come back is seen from what still fits into a small pool.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

P, D = 4, 8


class Beside:
    """A learner's store and a plain list of rows a text, driven together; rows are drawn from one seeded generator."""

    def __init__(self, store: Any, purpose: str) -> None:
        self.store, self.rows, self.story = store, dict[str, list[Tensor]](), list[str]()
        self.draw = inputs.generator(purpose)

    def append(self, name: str, count: int = 1, times: float = 1.0) -> Beside:
        self.story.append(f"{name} +{count}" + f" times {times:g}" * (times != 1.0))
        for _ in range(count):
            row = times * torch.randn(D, generator=self.draw)
            self.store.append(name, row.clone())
            self.rows.setdefault(name, []).append(row)
        return self

    def fork(self, name: str, new: str) -> Beside:
        self.story.append(f"fork {name} as {new}")
        self.store.fork(name, new)
        self.rows[new] = list(self.rows[name])
        return self

    def finish(self, name: str) -> Beside:
        self.story.append(f"finish {name}")
        self.store.finish(name)
        del self.rows[name]
        return self

    def differs(self) -> Finding | None:
        """The first text whose attention is not what its own rows give, or None."""
        q = torch.randn(D, generator=self.draw)
        for name, rows in self.rows.items():
            own = torch.stack(rows).double()
            want = ((own @ q.double()).softmax(0) @ own).float()
            if finding := same(self.store.attend(name, q.clone()), want):
                calls = "; ".join(["…"] * (len(self.story) > 8) + self.story[-8:])
                return Finding("", (("calls", calls), ("text", f"{name}, {len(rows)} rows"), *finding.facts))
        return None


def _case(name: str, meaning: str, work: Callable[[Beside], None]) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        beside = Beside(call(16, P, D), name)
        work(beside)
        return beside.differs()

    return Property(name, law, meaning)


def _in_three_pages(name: str, meaning: str, work: Callable[[Beside], None]) -> Property:
    """A case that fits into three pages, if none is wasted: a store that runs out of them has used more than it may."""

    def law(call: LearnerCall) -> Finding | None:
        beside = Beside(call(3, P, D), name)
        try:
            work(beside)
        except Exception as error:
            what = f"{type(error).__name__} in a store of 3 pages of {P} rows, which is enough for this"
            return Finding("", (("calls", "; ".join(beside.story[-8:])), ("what", what)))
        return beside.differs()

    return Property(name, law, meaning)


def _whole_page(t: Beside) -> None:
    t.append("ann", 4).append("bob", 8)


def _tail(t: Beside) -> None:
    t.append("ann", 6)


def _used_before(t: Beside) -> None:
    t.append("ann", 8).finish("ann").append("bob", 1).append("cem", 6)


def _nan_before(call: LearnerCall) -> Finding | None:
    """Every page has held NaN. A store that has none left by then is for the last layer to judge."""
    beside = Beside(call(16, P, D), "nan before")
    try:
        beside.append("ann", 16 * P, times=torch.nan).finish("ann").append("bob", 1).append("cem", 6)
    except Exception:
        return None
    return beside.differs()


def _far_below(call: LearnerCall) -> Finding | None:
    """Rows of -300 and a query of 300: scores far below -10,000, beside slots that still hold zeros."""
    store, low = call(16, P, D), torch.full((D,), -300.0)
    for _ in range(6):
        store.append("ann", low.clone())
    return same(store.attend("ann", -low), low)


def _full(call: LearnerCall) -> Finding | None:
    """Five pages' worth of rows into three pages: somebody must be told that there is none left."""
    try:
        Beside(call(3, P, D), "full").append("ann", 5 * P)
    except Exception:
        return None
    return Finding("", (("what", f"3 pages of {P} rows took {5 * P} rows"), ("want", "an error when no page is free")))


def _fork_whole(t: Beside) -> None:
    t.append("ann", 8).fork("ann", "bob").append("bob", 4).append("ann", 4)


def _fork_writes(t: Beside) -> None:
    t.append("ann", 6).fork("ann", "bob").append("bob", 1).append("ann", 2)


def _first_writes(t: Beside) -> None:
    t.append("ann", 6).fork("ann", "bob").append("ann", 1)


def _three_forks(t: Beside) -> None:
    t.append("ann", 5)
    for name in ("bob", "cem", "dora"):
        t.fork("ann", name)
    t.fork("cem", "eve")
    for name in ("eve", "cem", "ann", "bob"):
        t.append(name, 2)


def _reader_stays(t: Beside) -> None:
    t.append("ann", 8).fork("ann", "bob").finish("ann").append("cem", 8).append("dora", 8)


def _fork_leaves(t: Beside) -> None:
    t.append("ann", 7).fork("ann", "bob").finish("bob").append("cem", 12).append("ann", 2)


def _day(call: LearnerCall) -> Finding | None:
    for seed in range(3):
        draw, beside = random.Random(seed), Beside(call(256, P, D), f"day {seed}")
        for step in range(60):
            names, act = list(beside.rows), draw.random()
            if len(names) > 5 or (names and act < 0.15):
                beside.finish(draw.choice(names))
            elif names and act < 0.35:
                beside.fork(draw.choice(names), f"text {step}")
            elif names and act < 0.8:
                beside.append(draw.choice(names), draw.randint(1, 5))
            else:
                beside.append(f"text {step}", draw.randint(1, 6))
            if finding := beside.differs():
                return finding
    return None


def _forks_take_nothing(t: Beside) -> None:
    t.append("ann", 10)  # fills the pool of three pages, the last by half
    for i in range(20):
        t.fork("ann", f"fork {i}")


def _last_owner_writes(t: Beside) -> None:
    t.append("ann", 10).fork("ann", "bob").finish("ann").append("bob", 2)


def _pages_come_back(t: Beside) -> None:
    for _ in range(5):
        t.append("ann", 10).fork("ann", "bob").fork("bob", "cem")
        for name in ("bob", "ann", "cem"):
            t.finish(name)


def _one_copy(t: Beside) -> None:
    t.append("ann", 7).fork("ann", "bob").append("bob", 1).append("ann", 1)


def _methods(call: LearnerCall) -> Finding | bool | None:
    store = call(4, P, D)
    missing = [name for name in ("append", "fork", "attend", "finish") if not callable(getattr(store, name, None))]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    for _ in range(P):  # a full page: what lies behind a text's end is the next layer's business
        store.append("ann", torch.ones(D))
    return same(store.attend("ann", torch.ones(D)), torch.ones(D))


COMES_BACK = "A page is free again when the last text that refers to it is finished, and not before."
CLINIC = Exercise(
    id="10.clinic",
    title="Clinic: the store that mixes up its texts",
    statement=(
        "Mend the patient. append(name, row (width,)) adds a row to a text, and makes the text if it is new; fork(name, new) makes "
        "a text that begins with all rows of another, on the same pages; attend(name, q (width,)) is softmax(rows @ q) @ rows over "
        "the text's own rows; finish(name) forgets the text. append raises, as it did, when no page is free. A fork takes no page until one of the two writes into a shared one."
    ),
    signature="Mended(num_blocks, block_size, width)",
    layers={
        "contract": (Property("has the methods", _methods, "A store has append, fork, attend and finish; attend returns (width,)."),),
        "values": (
            _case("whole pages", "Texts that fill their pages worked before: keep it so.", _whole_page),
            _case("a fork at a page's end", "A fork that begins a new page worked before: keep it so.", _fork_whole),
            _case("a partial last page", "Slots behind the text's last row take part in the softmax: a score of 0 has the weight exp(0).", _tail),
            _case("a page used before", "Slots behind the text's last row still hold what somebody else wrote there.", _used_before),
            Property("a page that held NaN", _nan_before, "A row of NaN that somebody else has left stays NaN when it is multiplied by 0: do not read it."),
            Property("scores far below", _far_below, "Every real score is far below -10,000: leave out the slots behind the last row, a low score does not hide them."),
            _case("the fork writes", "Both texts refer to one half-full page: whoever writes into it first needs a copy.", _fork_writes),
            _case("the forked one writes", "It does not matter which of the two writes: the other must not see it.", _first_writes),
            _case("many forks", "Count the texts that refer to a page: it may be written only by the last of them.", _three_forks),
            _case("the fork outlives its text", COMES_BACK, _reader_stays),
            _case("the text outlives its fork", COMES_BACK, _fork_leaves),
        ),
        "properties": (Property("a day at the store", _day, "Texts come, grow, fork and go; each must see its own rows and no others."),),
        "resources": (
            Property("as many rows as the pages hold", _full, "A store has the pages it was made with, and no others: append raises when none is free."),
            _in_three_pages("forks take nothing", "A fork shares: it must not take a page before somebody writes.", _forks_take_nothing),
            _in_three_pages("the last owner writes in place", "A page that only one text refers to is written where it is.", _last_owner_writes),
            _in_three_pages("one copy is enough", "After one of two has its copy, the page has a single owner: the other writes in place.", _one_copy),
            _in_three_pages("pages come back", COMES_BACK, _pages_come_back),
        ),
    },
    hints=(
        "There are three faults: attend looks at slots that are not the text's, append writes where others read, and finish gives "
        "away what others still hold. Two of them need to know how many texts refer to a page.",
        "A page's count is the number of texts whose list it is in. It may be written only while its count is 1, and is free exactly "
        "when its count is 0.",
        "counts = [0] * num_blocks;  a page taken from `free` gets 1, fork adds 1 to each of the text's pages\n"
        "append into a half-full last page with a count above 1: take a page, copy, count of the old one - 1, replace it in ids\n"
        "attend: the text's pages flattened, cut at its length\nfinish: each count - 1, and only pages that reach 0 go back to free",
    ),
    solution="minillm/cache/block_table.py: BlockTable, and notebooks/solutions/lesson_10.py: Mended",
    time_limit_s=20.0,
)  # fmt: skip
