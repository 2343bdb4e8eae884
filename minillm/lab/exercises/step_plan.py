"""The exercise 13.schedule: share out one step's tokens, judged by the rules of a day and by how much of the line it reads.

Each case is a situation in which one rule decides. Then whole days run with few pages, in which texts must be sent back and
all must be done in the end; and a line of a hundred thousand, of which a step may look at those it lets in and one more.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.step_world import Arrival, Day, Limits, RuleBroken, Work, watch


def _case(name: str, meaning: str, running: Sequence[Work], waiting: Sequence[Work], **changed: int) -> Property:
    limits = Limits(8, 4, 16, 4)._replace(**changed)

    def law(call: LearnerCall) -> Finding | None:
        answer = call(tuple(running), tuple(waiting), *limits)
        try:
            watch(running, waiting, limits, answer)
        except RuleBroken as broken:
            told = ", ".join(f"{field}={value}" for field, value in limits._asdict().items())
            facts = (("running", _list(running)), ("waiting", _list(waiting)), ("limits", told))
            return Finding(meaning, (*facts, ("got", clip(repr(answer), 90)), ("what", str(broken))))
        return None

    return Property(name, law, meaning)


def _list(works: Sequence[Work]) -> str:
    return "; ".join(f"{w.name} {w.computed} of {w.known} in {w.blocks} pages" for w in works) or "nobody"


def _a_tuple(call: LearnerCall) -> Finding | None:
    answer = call((Work("ann", 3, 2, 1),), (), 8, 4, 4, 4)
    try:
        watch((Work("ann", 3, 2, 1),), (), Limits(8, 4, 4, 4), answer)
    except RuleBroken as broken:
        return Finding("", (("got", clip(repr(answer), 90)), ("what", str(broken))))
    return None


def draw_day(seed: int) -> tuple[list[Arrival], Limits]:
    """A seeded day with hardly more pages than its longest text needs."""
    draw = random.Random(seed)
    size = draw.choice((1, 2, 4, 8))
    arrivals = [
        Arrival(f"text {i}", draw.randint(0, 20), draw.randint(1, 20), draw.randint(1, 12))
        for i in range(draw.randint(1, 10))
    ]
    longest = max(-(-(a.prompt + a.answer - 1) // size) for a in arrivals)
    return arrivals, Limits(draw.randint(1, 12), draw.randint(1, 6), longest + draw.randint(0, 4), size)


def _days(call: LearnerCall) -> Finding | None:
    for seed in range(80):
        arrivals, limits = draw_day(seed)
        day = Day(call, arrivals, limits)
        try:
            day.run(2000)
        except RuleBroken as broken:
            told = ", ".join(f"{field}={value}" for field, value in limits._asdict().items())
            return Finding("", (("day", f"{seed}: {told}"), ("step", str(len(day.shares))), ("what", str(broken))))
    return None


class _Line(Sequence[Work]):
    """A line of texts, each alike, that counts how many of them were looked at."""

    def __init__(self, length: int) -> None:
        self.length, self.seen = length, 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.length))]
        index = index + self.length if index < 0 else index
        if not 0 <= index < self.length:
            raise IndexError(index)
        self.seen += 1
        return Work(f"text {index}", 4)

    def __bool__(self) -> bool:
        return self.length > 0

    def __deepcopy__(self, memo: dict) -> _Line:
        return self


def _long_line(call: LearnerCall) -> Finding | None:
    line = _Line(100_000)
    shares, _ = call((Work("ann", 9, 8, 2),), line, 13, 64, 32, 4)
    if len(shares) == 4 and line.seen <= 5:
        return None
    return Finding("", (("let in", str(len(shares) - 1)), ("looked at", f"{line.seen:,} of {len(line):,} waiting")))


ANN, BOB, CEM = Work("ann", 9, 8, 2), Work("bob", 13, 12, 3), Work("cem", 21, 20, 5)
SCHEDULE = Exercise(
    id="13.schedule",
    title="Who gets how many tokens?",
    statement=(
        "Share out one step. running and waiting are texts in order of arrival, each with name, known, computed and blocks; a text lacks "
        "known - computed tokens, and holds ceil(computed / block_size) pages. First the running, in order: each gets what it lacks, or what is left of the budget. If pages are "
        "short, send back the running text that came last (its pages are free at once, and it gets nothing), again and again if need be, perhaps the very text that asked. "
        "Then, if nobody was sent back, the waiting, in order: each gets what it lacks, or what is left of the budget, until the budget, max_running or the "
        "pages do not allow the next one. Nobody gets 0 tokens. Return (shares, sent_back): a dictionary from name to tokens, and a list of names."
    ),
    signature="schedule(running, waiting, budget, max_running, free_blocks, block_size)",
    layers={
        "contract": (Property("the answer", _a_tuple, "Return a dictionary and a list."),),
        "values": (
            _case("a token each", "Who has read its prompt lacks one token.", (ANN, BOB, CEM), ()),
            _case("a prompt comes in", "What the running leave of the budget goes to who waits.", (ANN,), (Work("bob", 5),)),
            _case("a prompt in pieces", "A prompt longer than what is left gets what is left, and goes on at the next step.", (ANN,), (Work("bob", 30),)),
            _case("the rest of a prompt", "A text in the middle of its prompt runs like any other: it lacks more than one token.", (ANN, Work("bob", 30, 7, 2)), (Work("cem", 3),), budget=64),
            _case("budget of one", "The first takes all there is; the others get no entry, not a 0.", (ANN, BOB), (Work("cem", 3),), budget=1),
            _case("places", "max_running counts those who run already.", (ANN, BOB), (Work("cem", 2), Work("dora", 2)), max_running=3),
            _case("no pages for the first in line", "Who waits behind does not come in before who waits in front, however short.", (ANN,), (Work("bob", 7), Work("cem", 1)), free_blocks=2),
            _case("room in the last page", "A token that fits into the text's last page needs no new one.", (Work("ann", 8, 7, 2),), (), free_blocks=0),
            _case("the newest goes", "Pages are short: who came last is sent back, and is not let in again at the same step.", (ANN, BOB, CEM), (Work("dora", 2),), free_blocks=0),
            _case("no more than need be", "One text's pages are enough for two: send back no second one.", (ANN, BOB, CEM), (), free_blocks=1),
            _case("it asked itself", "The text that asks for a page may be the last: then it goes, and gets no tokens.", (ANN, BOB), (), free_blocks=1),
            _case("one after another", "A prompt in pieces may need the pages of several.", (Work("ann", 30, 4, 1), Work("bob", 5, 4, 1), Work("cem", 5, 4, 1)), (), free_blocks=1, budget=12),
            _case("budget before pages", "Who gets no tokens at this step needs no page at this step, and stays.", (ANN, BOB), (), free_blocks=1, budget=1),
        ),
        "properties": (
            Property("eighty days", _days, "Few pages, long texts: everybody must be done in the end, and every rule be kept at every step."),
        ),
        "resources": (
            Property("a long line", _long_line, "A step may look at the texts it lets in, and at the first that it does not; a line of 100,000 must cost no more."),
        ),
    },
    hints=(
        "There are no phases. A text that writes lacks one token, a text that reads lacks many, and the same line of code serves both.",
        "Keep three numbers up to date as you go: the budget left, the free pages, and how many run. Whoever is sent back is the last of a list that you shorten, so it has not been served yet.",
        "i = 0;  while i < len(running) and budget:  n = min(lacks, budget);  more = ceil((computed + n) / P) - blocks\n"
        "    while more > free_blocks and running[i + 1:]:  pop the last, free_blocks += its blocks, note its name\n"
        "    still more > free_blocks?  pop this one too and stop;  else note n, and subtract\n"
        "if nobody was sent back:  for work in waiting:  n = min(lacks, budget);  break if n, a place or the pages are missing;  note n, and subtract",
    ),
    solution="minillm/serving/scheduler.py: Scheduler.schedule, and notebooks/solutions/lesson_13.py: schedule",
    time_limit_s=20.0,
)  # fmt: skip
