"""The clinic of lesson 11: a cache of rows that answers one person with another's text.

The model handed to the patient is as simple as one can be that still depends on everything before: a token's row is the
text up to it. So a row in the wrong place can be read, and the tokens and passes it was asked for can be counted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

P = 4


class Model:
    """past (rows), new (words) -> their rows and an answer, as the lesson's own; counts `passes` and `read` words."""

    def __init__(self) -> None:
        self.passes = self.read = 0

    def __deepcopy__(self, memo: dict) -> Model:
        return self  # the one that counts, not a copy of it

    def __call__(self, past: Sequence[str], new: Sequence[str]) -> tuple[list[str], str]:
        if not new:
            raise ValueError("a model must be shown a token")
        rows = list(past)
        for word in new:
            rows.append(f"{rows[-1]} {word}" if rows else word)
        self.passes += 1
        self.read += len(new)
        return rows[len(past) :], f"{len(rows)} words: {rows[-1]}"


class _Broken(Exception):
    """What went wrong, as facts; raised and caught here."""


class Beside:
    """A learner's store and what a model says that reads everything; `asked` holds the prompts so far."""

    def __init__(self, call: LearnerCall) -> None:
        self.model, self.asked = Model(), list[str]()
        self.store = call(self.model, P)

    def ask(self, text: str, salt: str | None = None, *, read: int | None = None, passes: int | None = None) -> Beside:
        """Ask, and compare with a cold model; `read` and `passes` bound what this prompt may cost."""
        words = text.split()
        self.asked.append(repr(text) + (f" as {salt}" if salt else ""))
        before = self.model.read, self.model.passes
        got = self._answer(words, salt)
        want = Model()([], words)[1]
        if got != want:
            raise _Broken(("got", clip(repr(got), 120)), ("want", clip(repr(want), 120)))
        for unit, used, most in (
            ("words", self.model.read - before[0], read),
            ("passes", self.model.passes - before[1], passes),
        ):
            if most is not None and used > most:
                raise _Broken(("used", f"{used} {unit}"), ("limit", f"{most} {unit}"))
        return self

    def must_read(self, text: str, salt: str) -> Beside:
        """Ask in a salt that has not asked this: nothing may be known, not even how long it takes."""
        before = self.model.read
        self.ask(text, salt)
        if self.model.read - before < len(text.split()):
            raise _Broken(("read", f"{self.model.read - before} words"), ("want", f"all {len(text.split())}"))
        return self

    def _answer(self, words: list[str], salt: str | None) -> Any:
        try:
            return self.store.answer(list(words), **({} if salt is None else {"salt": salt}))
        except (NotImplementedError, TypeError):
            raise
        except Exception as error:
            raise _Broken(("raised", clip(f"{type(error).__name__}: {error}", 120))) from None


def _case(name: str, meaning: str, work: Callable[[Beside], object]) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        beside = Beside(call)
        try:
            work(beside)
        except _Broken as broken:
            prompts = "; ".join(["…"] * (len(beside.asked) > 3) + beside.asked[-3:])
            return Finding("", (("prompts", prompts), *broken.args))
        return None

    return Property(name, law, meaning)


HELP = "you are a clerk answer in one line "  # eight words; the others have four
ANN, BOB = "ann lives in oslo ", "bob lives in rome "
ASK = "where do i live "


def _methods(call: LearnerCall) -> Finding | None:
    store = call(Model(), P)
    if not callable(getattr(store, "answer", None)):
        return Finding("", (("missing", "answer"),))
    got = store.answer(["hello"])
    return None if isinstance(got, str) else Finding("", (("got", type(got).__name__), ("want", "the model's answer")))


def _day(beside: Beside) -> None:
    draw = random.Random(11)
    texts = [HELP]
    for _ in range(150):
        old = draw.choice(texts).split()
        words = old[: draw.randint(0, len(old))] + draw.choices("abc", k=draw.randint(1, 7))
        texts = [*texts[-12:], " ".join(words)]
        beside.ask(texts[-1], draw.choice((None, "ann", "bob")))


def _long(beside: Beside) -> None:
    words = [str(i % 50) for i in range(200)]
    for n in range(5, 200, 13):
        beside.ask(" ".join(words[:n]), read=13 + P if n > 5 else 5)


CLINIC = Exercise(
    id="11.clinic",
    title="Clinic: the clerk who knows too much",
    statement=(
        "Mend the patient. answer(tokens, salt=None) returns what model([], tokens) would answer, and asks the model only for what is "
        "not known from earlier prompts of the same salt: whole blocks from the beginning on, and at least one token is shown. One "
        "prompt is one pass of the model."
    ),
    signature="Mended(model, block_size)",
    layers={
        "contract": (Property("has the method", _methods, "A store has answer(tokens, salt=None), which returns the model's answer."),),
        "values": (
            _case("a new prompt", "The first prompt worked before: keep it so.", lambda s: s.ask(HELP + ANN + ASK + "now")),
            _case("a prompt that goes on", "A prompt behind a known one worked before: keep it so.",
                  lambda s: s.ask(HELP).ask(HELP + ANN + ASK + "now")),
            _case("the same words behind others", "A row depends on all words before it: the same block behind another beginning is another block.",
                  lambda s: s.ask(ANN + ASK + "now").ask(BOB + "please").ask(BOB + ASK + "today")),
            _case("the same words for two blocks", "All that stands before a block counts, not the block before alone.",
                  lambda s: s.ask(ANN + ASK + HELP + "now").ask(BOB + ASK + "please").ask(BOB + ASK + HELP + "now")),
            _case("words that come again", "The second time a block comes in a text, other words stand before it.", lambda s: s.ask(ASK + ASK + ASK + "now")),
            _case("the same prompt again", "The model must be shown a token: the last block is read again, known or not.",
                  lambda s: s.ask(HELP + ANN).ask(HELP + ANN).ask(HELP)),
            _case("a beginning of one", "A prompt may be the beginning of a known one.", lambda s: s.ask(HELP + ANN + ASK).ask(HELP).ask("you are")),
            _case("ends that are not full", "A last block that is not full is not kept, or only with all it stands behind.",
                  lambda s: s.ask(ANN + "or so").ask(BOB + "or so").ask(BOB + "or so or not or so")),
            _case("short prompts", "A prompt may be shorter than a block.", lambda s: s.ask("hello").ask("hello").ask("hello you")),
        ),
        "properties": (
            _case("a day at the counter", "Prompts that share beginnings, of two people and of nobody; each answer as if nothing were kept.", _day),
            _case("salts share nothing", "How fast an answer comes tells what others have asked: another salt must read everything itself.",
                  lambda s: s.ask(HELP + ANN + ASK, "ann").must_read(HELP + ANN + ASK, "bob").ask(HELP + ANN).must_read(HELP + ANN, "cem")),
        ),
        "resources": (
            _case("a known beginning is not read", "Of a known beginning only the last block may have to be read again.",
                  lambda s: s.ask(HELP + ANN + ASK).ask(HELP + ANN + ASK, read=P).ask(HELP + ANN + ASK + "now", read=1).ask(HELP + BOB, read=P)),
            _case("one pass a prompt", "All that is new goes through the model in one pass.",
                  lambda s: s.ask(HELP + ANN + ASK + "now", passes=1).ask(HELP + BOB + ASK, passes=1).ask(HELP + BOB + ASK + ASK, passes=1)),
            _case("a text that grows", "Each turn reads what is new, and a block at most of what is known.", _long),
        ),
    },
    hints=(
        "There are three faults: what a block is known by, what happens when nothing is left to read, and who may find it. (And it asks "
        "the model once a block, where once a prompt would do.)",
        "A block is known by the salt and by all words up to its end. At most (n - 1) // P blocks are taken from what is known, from the "
        "first on, up to the first that is missing; the rest is read in one pass.",
        "names = [(salt, *tokens[:end]) for end in P, 2 P, … up to len(tokens)]      # or a hash chain, which is shorter\n"
        "found = 0; while found < (n - 1) // P and names[found] in kept: past = past + kept[names[found]]; found += 1\n"
        "rows, answer = model(past, tokens[found * P:])\nkeep rows, P at a time, under names[found:]",
    ),
    solution="minillm/cache/prefix.py: PrefixCache, and notebooks/solutions/lesson_11.py: Mended",
    time_limit_s=20.0,
)  # fmt: skip
