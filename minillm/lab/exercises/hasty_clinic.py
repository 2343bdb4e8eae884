"""The clinic of lesson 13: a schedule that gives pages away which it still reads.

The mended class is driven beside the only thing that cannot be wrong, each text written alone by the same model. The
little engine's memory keeps whatever was last written into a page, so a page that changed hands too soon shows as a foreign
letter. Pages are counted after every pass, and so are passes and words, for a schedule that serves one text at a time, or reserves pages
for all that may be written, writes the right words too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.little_engine import LittleEngine, initials, written_alone

P = 4
Request = tuple[str, int, int]  # name, words of its prompt, words to write
NAMES = ("ann", "bob", "cem", "dora", "eve", "finn", "gus", "hana", "ida", "jon")


class _Wrong(Exception):
    """What went wrong, as labelled facts; raised and caught here."""


class Drive:
    """A learner's engine, stepped and looked at after each pass."""

    def __init__(self, call: LearnerCall, num_pages: int) -> None:
        self.engine, self.prompts, self.story = call(initials, num_pages, P), dict[str, tuple[str, int]](), list[str]()
        self.num_pages = num_pages

    def add(self, *requests: Request) -> Drive:
        for name, words, answer in requests:
            self.prompts[name] = " ".join([name, *(f"{name[0]}{i}" for i in range(1, words))]), answer
            self.engine.add(name, *self.prompts[name])
            self.story.append(f"{name} comes with {words} words for {answer}")
        return self

    def step(self, times: int = 1) -> Drive:
        for _ in range(times):
            self.engine.step()
            self._count_pages()
        self.story.append(f"{times} passes")
        return self

    def finish(self, most: int = 400) -> Drive:
        for _ in range(most):
            if len(self.engine.done) == len(self.prompts):
                break
            self.engine.step()
            self._count_pages()
        else:
            late = ", ".join(name for name in self.prompts if name not in self.engine.done)
            raise _Wrong(("what", f"after {most} passes {late} had not been written"))
        for name, text in self.engine.done.items():
            want = written_alone(initials, *self.prompts[name])
            if text.words != want:
                at = next(i for i, (a, b) in enumerate(zip(text.words, want, strict=True)) if a != b)
                raise _Wrong(("text", name), ("got", clip(text.words[at], 60)), ("want", clip(want[at], 60)))
        return self

    def _count_pages(self) -> None:
        held = [page for text in self.engine.running for page in text.table]
        every = sorted(held + list(self.engine.free))
        if every == list(range(self.num_pages)):
            return
        twice = next((page for page in every if every.count(page) > 1), None)
        lost = sorted(set(range(self.num_pages)) - set(every))
        what = f"page {twice} is held or free twice" if twice is not None else f"pages {lost} are nobody's and not free"
        raise _Wrong(("after", f"pass {len(self.engine.passes)}"), ("what", what))


def _law(work: Callable[[Drive], object], num_pages: int) -> Callable[[LearnerCall], Finding | None]:
    def law(call: LearnerCall) -> Finding | None:
        drive = Drive(call, num_pages)
        try:
            work(drive)
        except _Wrong as wrong:
            story = "; ".join(["…"] * (len(drive.story) > 6) + drive.story[-6:])
            return Finding("", (("pages", f"{num_pages} of {P} words"), ("story", story), *wrong.args))
        return None

    return law


def _case(name: str, meaning: str, work: Callable[[Drive], object], num_pages: int = 16) -> Property:
    return Property(name, _law(work, num_pages), meaning)


def _alone(d: Drive) -> None:
    d.add(("ann", 3, 6)).finish()


def _side_by_side(d: Drive) -> None:
    d.add(("ann", 3, 4), ("bob", 6, 9), ("cem", 1, 2)).finish()


def _last_word(d: Drive) -> None:
    """Ann's last word is written in the pass in which Bob comes in, on the last free pages."""
    d.add(("ann", 7, 2)).step().add(("bob", 8, 3)).finish()


def _given_back_once(d: Drive) -> None:
    d.add(("ann", 7, 3)).step(3).add(("bob", 7, 4), ("cem", 7, 4)).finish()


def _comes_again(d: Drive) -> None:
    """Both grow, pages run out, Bob goes and comes again."""
    d.add(("ann", 3, 9), ("bob", 3, 6)).finish()


def _asks_itself(d: Drive) -> None:
    """The newest is the one that needs a page."""
    d.add(("ann", 5, 4), ("bob", 4, 5)).finish()


def _all_leave(d: Drive) -> None:
    d.add(*((name, 2 + i, 3 + i) for i, name in enumerate(NAMES))).finish()


def _days(call: LearnerCall) -> Finding | None:
    for seed in range(40):
        draw = random.Random(seed)
        asked = [(name, draw.randint(1, 9), draw.randint(1, 9)) for name in NAMES[: draw.randint(2, 10)]]
        most = max(-(-(words + answer - 1) // P) for _, words, answer in asked)

        def work(drive: Drive, asked: Iterable[Request] = asked, draw: random.Random = draw) -> None:
            for request in asked:
                drive.add(request).step(draw.randint(0, 3))
            drive.finish()

        if finding := _law(work, most + draw.randint(0, 2))(call):
            return finding
    return None


def _methods(call: LearnerCall) -> Finding | bool:
    engine = call(initials, 4, P)
    if not isinstance(engine, LittleEngine):
        return Finding("", (("got", type(engine).__name__), ("want", "a subclass of LittleEngine")))
    engine.add("ann", "ann asks", 1)
    return list(engine.schedule()) == engine.running and len(engine.running) == 1


def _one_pass_for_all(d: Drive) -> None:
    d.add(*((name, 3, 10) for name in NAMES)).finish()
    if len(d.engine.passes) > 10:
        raise _Wrong(("passes", str(len(d.engine.passes))), ("want", "10, with pages enough for all"))


def _nothing_twice(d: Drive) -> None:
    d.add(("ann", 6, 5), ("bob", 6, 5)).finish()
    _words_at_most(d, 20)


def _only_who_must(d: Drive) -> None:
    """Six pages: at the first pass that lacks one, only the newest of three has to go."""
    d.add(("ann", 4, 8), ("bob", 4, 8), ("cem", 4, 8)).finish()
    _words_at_most(d, 46)


def _head_of_the_line(d: Drive) -> None:
    """Cem waits for three pages when Bob is sent back, and whoever of them comes in first leaves first."""
    d.add(("ann", 4, 8), ("bob", 4, 8), ("cem", 9, 1)).finish()
    if (left := list(d.engine.done)) != ["ann", "bob", "cem"]:
        raise _Wrong(("leave in this order", ", ".join(left)), ("want", "ann, bob, cem: in order of arrival"))


def _nothing_is_reserved(d: Drive) -> None:
    """Two texts with a page each today, and with three each at their ends."""
    d.add(("ann", 3, 9), ("bob", 3, 9)).step()
    if (part := list(d.engine.passes[0])) != ["ann", "bob"]:
        raise _Wrong(
            ("in the first pass", ", ".join(part) or "nobody"), ("want", "ann, bob: there are pages for their words")
        )
    d.finish()


def _words_at_most(d: Drive, most: int) -> None:
    words = sum(sum(who.values()) for who in d.engine.passes)
    if words > most:
        raise _Wrong(("words computed", str(words)), ("want", f"at most {most}"))


CLINIC = Exercise(
    id="13.clinic",
    title="Clinic: the schedule that cannot wait",
    statement=(
        "Mend the patient, a subclass of LittleEngine with schedule() and send_back(). Every text must be written as if it were alone. A page "
        "is given back once, when its text has left or is sent back, and belongs to nobody else until then; a text that is sent "
        "back takes no part in the pass, and is read again from its first word when it returns. Everybody who runs and is not sent back "
        "takes part in every pass, and who came last is sent back first, to the head of the line, and only when a page is missing. The "
        "head of the line comes in as soon as there are pages for the words it has."
    ),
    signature="Mended(model, num_pages, page_size)",
    layers={
        "contract": (Property("a LittleEngine", _methods, "schedule() lets in who waits, and returns the texts of the next pass."),),
        "values": (
            _case("alone", "One text with pages to spare: it is written, and its pages are free again, once.", _alone),
            _case("side by side", "Texts with pages to spare must not see each other.", _side_by_side),
            _case("the last word", "A text reads all its pages once more for its last word: they are not free before that pass.", _last_word, 4),
            _case("given back once", "A page that is given back twice has two owners next.", _given_back_once, 6),
            _case("comes again", "A text that was sent back has no pages, so none of its words is computed any more.", _comes_again, 4),
            _case("asks for itself", "The text that lacks a page may be the newest: then it is the one to go, and not to run.", _asks_itself, 3),
            _case("the head of the line", "Who was sent back came before all who wait: it stands in front of them, or it may wait for ever.", _head_of_the_line, 4),
            _case("ten texts", "Pages come back, and nobody is forgotten.", _all_leave, 8),
        ),
        "properties": (Property("forty days", _days, "Texts come while others run, with hardly more pages than the longest needs."),),
        "resources": (
            _case("one pass for all", "With pages for everybody, ten texts take as many passes as one.", _one_pass_for_all, 64),
            _case("nothing is reserved", "Pages for what may be written stay empty until it is: hope lets in whoever fits now.", _nothing_is_reserved, 4),
            _case("nothing twice", "Nobody had to go: then every word is computed once.", _nothing_twice, 16),
            _case("only who must", "One page is missing: one text goes.", _only_who_must, 6),
        ),
    },
    hints=(
        "There are three faults, one in each of the places where a text and its pages part: at its last word, when it is sent back, and when it sends itself back.",
        "A page may be freed by step() when the text has left, and by send_back(), and nowhere else. After send_back(text), text is neither in the batch nor partly computed.",
        "in send_back:  text.computed = 0\n"
        "in schedule:   for text in list(self.running):  if text not in self.running: break\n"
        "                   while text in self.running and not self.take_pages(text): self.send_back()\n"
        "                   if text in self.running: batch.append(text)\n"
        "and no page is given away for a last word",
    ),
    solution="minillm/serving/scheduler.py: Scheduler, and notebooks/solutions/lesson_13.py: Mended",
    time_limit_s=20.0,
)  # fmt: skip
