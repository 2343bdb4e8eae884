"""The clinic of lesson 14: a step planner that talks before it has read, lets writers wait, and never reads the last words.

The mended class plans step after step, and a ledger checks what it plans: every token once and in order, a token chosen only
behind a text that is read whole, a token a step for everybody who is being written for, no room left while there is work.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

Request = tuple[str, int, int]  # name, tokens of its prompt, tokens to write


class _Wrong(Exception):
    """What went wrong, as labelled facts; raised and caught here."""


@dataclass
class _Text:
    known: int
    end: int  # how many tokens it knows when its last one is written
    computed: int = 0

    @property
    def lacks(self) -> int:
        return self.known - self.computed


class Ledger:
    """A learner's planner, stepped and held to the rules."""

    def __init__(self, call: LearnerCall, budget: int) -> None:
        self.planner, self.budget, self.texts, self.story = call(budget, 16), budget, dict[str, _Text](), list[str]()
        self.steps, self.firsts = 0, dict[str, int]()

    def add(self, *requests: Request) -> Ledger:
        for name, prompt, answer in requests:
            self.texts[name] = _Text(prompt, prompt + answer)
            self.planner.add(name, prompt, answer)
            self.story.append(f"{name} comes with {prompt} tokens for {answer}")
        return self

    def step(self, times: int = 1) -> Ledger:
        for _ in range(times):
            plan = self.planner.step()
            self.steps += 1
            try:
                self._enter([tuple(share) for share in plan])
            except (TypeError, ValueError):
                raise _Wrong(
                    ("got", clip(repr(plan), 80)), ("what", "want a list of (name, start, count, samples)")
                ) from None
            except _Wrong as wrong:
                raise _Wrong(("step", str(self.steps)), ("got", clip(repr(list(plan)), 90)), *wrong.args) from None
        return self

    def finish(self, most: int) -> Ledger:
        """Plan until all is written, in at most so many steps."""
        for _ in range(most):
            if not self.texts:
                return self
            self.step()
        if self.texts:
            late = ", ".join(f"{name}, {text.lacks} to read" for name, text in self.texts.items())
            raise _Wrong(("what", f"after {most} steps not done: {late}"), ("got", clip(repr(self.planner.step()), 90)))
        return self

    def _enter(self, plan: list[tuple]) -> None:
        writers = {name for name, text in self.texts.items() if text.lacks == 1 and text.computed}
        work = sum(text.lacks for text in self.texts.values())
        planned = set[str]()
        for name, start, count, samples in plan:
            text = self.texts.get(name)
            if text is None or name in planned:
                raise _Wrong(("what", f"{name} is planned twice, or has ended"))
            planned.add(name)
            if start != text.computed or not 1 <= count <= text.lacks:
                want = f"its next token is {text.computed}, and it lacks {text.lacks}"
                raise _Wrong(("what", f"{name} is planned from {start} for {count}: {want}"))
            if bool(samples) != (count == text.lacks):
                end = "a token is chosen behind" if samples else "no token is chosen behind"
                raise _Wrong(("what", f"{end} {name}, of which {text.lacks - count} tokens are still to be read"))
        total = sum(share[2] for share in plan)
        if total > self.budget:
            raise _Wrong(("what", f"{total} tokens in a step of {self.budget}"))
        if len(writers) <= self.budget and writers - planned:
            raise _Wrong(
                ("what", f"being written, and without a token in this step: {', '.join(sorted(writers - planned))}")
            )
        if total < min(work, self.budget):
            raise _Wrong(("what", f"{total} of {self.budget} tokens are used, and there is work for {work}"))
        for name, _, count, samples in plan:
            self._compute(name, count, samples)

    def _compute(self, name: str, count: int, samples: bool) -> None:
        text = self.texts[name]
        text.computed += count
        if samples:
            text.known += 1
            self.firsts.setdefault(name, self.steps)
            if text.known == text.end:
                del self.texts[name]


def _case(name: str, meaning: str, work: Callable[[Ledger], object], budget: int = 32) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        ledger = Ledger(call, budget)
        try:
            work(ledger)
        except _Wrong as wrong:
            story = "; ".join(["…"] * (len(ledger.story) > 5) + ledger.story[-5:])
            return Finding("", (("budget", str(budget)), ("story", story), *wrong.args))
        return None

    return Property(name, law, meaning)


def _short(b: Ledger) -> None:
    b.add(("ann", 16, 4)).finish(4)


def _whole_pages(b: Ledger) -> None:
    b.add(("ann", 64, 1)).finish(2)


def _one_token(b: Ledger) -> None:
    b.add(("ann", 1, 1)).finish(1)


def _in_pieces(b: Ledger) -> None:
    b.add(("ann", 96, 3)).finish(5)


def _last_words(b: Ledger) -> None:
    b.add(("ann", 70, 2)).finish(4)


def _odd_step(b: Ledger) -> None:
    b.add(("ann", 40, 2)).finish(8)


def _writers_first(b: Ledger) -> None:
    b.add(("ann", 4, 30), ("bob", 8, 30)).step().add(("cem", 320, 2)).step(8)


def _two_prompts(b: Ledger) -> None:
    b.add(("ann", 4, 40)).step().add(("bob", 100, 3), ("cem", 9, 3)).finish(60)


def _many_writers(b: Ledger) -> None:
    b.add(*((f"chat {i}", 1, 20) for i in range(20))).step().add(("cem", 50, 2)).finish(40)


def _in_order(b: Ledger) -> None:
    b.add(("ann", 100, 1), ("bob", 4, 1)).finish(8)
    if b.firsts["bob"] < b.firsts["ann"]:
        raise _Wrong(("what", "bob came after ann and is read before her"))


def _days(call: LearnerCall) -> Finding | None:
    for seed in range(40):
        draw = random.Random(seed)
        requests = [(f"text {i}", draw.randint(1, 120), draw.randint(1, 20)) for i in range(draw.randint(1, 8))]
        work = sum(prompt + answer for _, prompt, answer in requests)

        def day(
            ledger: Ledger, requests: list[Request] = requests, draw: random.Random = draw, work: int = work
        ) -> None:
            for request in requests:
                ledger.add(request).step(draw.randint(0, 3))
            ledger.finish(work)

        if finding := _case(f"day {seed}", "", day, budget=draw.randint(8, 48)).law(call):  # type: ignore[union-attr]
            return finding  # type: ignore[return-value]
    return None


def _methods(call: LearnerCall) -> Finding | bool:
    planner = call(32, 16)
    missing = [name for name in ("add", "step") if not callable(getattr(planner, name, None))]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    planner.add("ann", 16, 1)
    plan = planner.step()
    return isinstance(plan, list | tuple) and len(plan) == 1 and len(tuple(plan[0])) == 4


CLINIC = Exercise(
    id="14.clinic",
    title="Clinic: the planner that talks before it has read",
    statement=(
        "Mend the patient. add(name, prompt, answer) lets a text come with so many tokens, to write so many; step() plans a step of at most `budget` tokens, and takes it as done: a list of (name, start, "
        "count, samples), at most one share a text. A text's tokens are computed once each, in order; samples is True exactly when a share ends with the last token the text knows, and only then "
        "the text knows one more. Every text that is being written gets its token in every step, as long as they are not more than the budget; the rest of the step goes to prompts in order of arrival, cut wherever the budget ends. "
        "A text leaves when its answer is written."
    ),
    signature="Mended(budget, page)",
    layers={
        "contract": (Property("has the methods", _methods, "A planner has add and step; step returns a list of (name, start, count, samples)."),),
        "values": (
            _case("a short prompt", "It worked before: keep it so.", _short),
            _case("one token in, one out", "It worked before: keep it so.", _one_token),
            _case("whole pieces", "A prompt in two pieces: the model has not seen the end of it after the first, so no token is chosen there.", _whole_pages),
            _case("three pieces", "Only the piece that ends the prompt chooses a token.", _in_pieces),
            _case("the last words", "70 tokens are four pages and 6: who takes whole pages only never reads the 6.", _last_words),
            _case("a budget of nine", "Pieces end where the budget ends, wherever in a page that is.", _odd_step, budget=9),
            _case("writers first", "A long prompt comes: those who are being written for still get a token in every step.", _writers_first),
        ),
        "properties": (
            _case("two prompts", "Tokens that are left belong to the next prompt in line.", _two_prompts),
            _case("in order", "Who came first is read first.", _in_order),
            _case("many writers", "20 write, so 12 tokens of a step are left: fewer than a page, and still 12.", _many_writers),
            Property("forty days", _days, "Every token once, a token a step for those who write, and everybody is done in the end."),
        ),
    },
    hints=(
        "There are three faults: who is served first, how long a piece is, and what happens after a piece that does not end its prompt.",
        "A text that lacks one token and has computed some is being written. A share samples exactly when start + count is all the text knows.",
        "for text in those who write, then those who read, each in order of arrival:\n"
        "    count = min(lacks, left), and nothing is rounded;  skip 0\n"
        "    samples = text.computed + count == text.known\n"
        "    computed += count;  known += 1 only if samples;  leave when the answer is written",
    ),
    solution="minillm/serving/schedule/step.py: ScheduleStep, and notebooks/solutions/lesson_14.py: Mended",
    time_limit_s=15.0,
)  # fmt: skip
