"""The clinic of lesson 15: a stream that shows half of a stop string before it knows.

Texts of few letters are cut into pieces at random, so stop strings arrive in every possible number of parts. The oracle sees
the whole text: it ends where the stop string begins that is complete first.
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


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """A whole text -> what a reader should see of it, and whether a stop string ended it."""
    for end in range(1, len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)], True
    return text, False


def could_begin(text: str, stops: Sequence[str]) -> int:
    """How many letters at the end of a text may yet turn out to belong to a stop string."""
    return max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)


class _Broken(Exception):
    """What went wrong, as facts; raised and caught here."""


def _play(call: LearnerCall, stops: Sequence[str], pieces: Sequence[str], *, at_once: bool = False) -> None:
    """Push the pieces, then finish, and compare with the whole text; `at_once`: also that nothing is held without need."""
    stream, shown, text = call(list(stops)), "", ""
    told = ("stops", str(list(stops))), ("pieces", clip(str(list(pieces)), 90))
    for piece in pieces:
        text += piece
        shown += _said(stream.push(piece), told)
        want, over = cut(text, stops)
        if not want.startswith(shown):
            raise _Broken(*told, ("after", repr(piece)), ("shown", repr(shown)), ("want", f"no more than {want!r}"))
        if bool(stream.stopped) != over:
            raise _Broken(*told, ("after", repr(piece)), ("stopped", repr(stream.stopped)), ("want", str(over)))
        least = want if over else text[: len(text) - could_begin(text, stops)]
        if at_once and shown != least:
            raise _Broken(*told, ("after", repr(piece)), ("shown", repr(shown)), ("could show", repr(least)))
    shown += _said(stream.finish(), told)
    if shown != want:
        raise _Broken(*told, ("shown in the end", repr(shown)), ("want", repr(want)))


def _said(got: Any, told: tuple[tuple[str, str], ...]) -> str:
    if not isinstance(got, str):
        raise _Broken(*told, ("returned", clip(repr(got), 40)), ("want", "a string, which may be empty"))
    return got


def _law(work: Callable[[LearnerCall], object]) -> Callable[[LearnerCall], Finding | None]:
    def law(call: LearnerCall) -> Finding | None:
        try:
            work(call)
        except _Broken as broken:
            return Finding("", broken.args)
        return None

    return law


def _case(name: str, meaning: str, stops: Sequence[str], *pieces: str) -> Property:
    return Property(name, _law(lambda call: _play(call, stops, pieces)), meaning)


def _methods(call: LearnerCall) -> Finding | None:
    stream = call(["ab"])
    missing = [name for name in ("push", "finish", "stopped") if not hasattr(stream, name)]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    return None if stream.stopped is False else Finding("", (("stopped", repr(stream.stopped)), ("want", "False")))


def _random(call: LearnerCall, *, at_once: bool) -> None:
    draw = random.Random(15)
    for _ in range(400):
        stops = ["".join(draw.choices("ab", k=draw.randint(1, 4))) for _ in range(draw.randint(0, 3))]
        text = "".join(draw.choices("abc", weights=(4, 4, 1), k=draw.randint(1, 14)))
        pieces: list[str] = []
        while text:
            size = draw.randint(1, 4)
            pieces, text = [*pieces, text[:size]], text[size:]
        # Where one piece brings two stop strings, which of them counts would be a matter of taste.
        if any(len(set(_ends("".join(pieces[:i]), pieces[i], stops))) > 1 for i in range(len(pieces))):
            continue
        _play(call, stops, pieces, at_once=at_once)


def _ends(before: str, piece: str, stops: Sequence[str]) -> list[int]:
    text = before + piece
    return [
        end - len(stop) for stop in stops for end in range(len(before) + 1, len(text) + 1) if text[:end].endswith(stop)
    ]


def _letters(value: Any, depth: int = 3) -> int:
    """How many letters an object holds on to."""
    if isinstance(value, str):
        return len(value)
    if depth and isinstance(value, list | tuple | set):
        return sum(_letters(one, depth - 1) for one in value)
    if depth and isinstance(value, dict):
        return sum(_letters(one, depth - 1) for one in value.values())
    return _letters(vars(value), depth - 1) if depth and hasattr(value, "__dict__") else 0


def _forgets(call: LearnerCall) -> Finding | None:
    stream = call(["###", "end of text"])
    for _ in range(2000):
        stream.push("some words ")
    held = _letters(stream)
    return Finding("", (("letters held", f"{held:,}"), ("want", "at most 100"))) if held > 100 else None


CLINIC = Exercise(
    id="15.clinic",
    title="Clinic: the stream that says too much",
    statement=(
        "Mend the patient. push(piece) takes the next piece of the text and returns what may be shown now; finish() says that no more will "
        "come, and returns what is still held. The text ends where the stop string begins that is complete first: no letter of it is "
        "ever shown, `stopped` is True from then on, and later pieces show nothing; when one piece completes two, either may count. Nothing is held that cannot become a stop string."
    ),
    signature="Mended(stops)",
    layers={
        "contract": (Property("has the methods", _methods, "A stream has push(piece), finish() and the attribute stopped, False at first."),),
        "values": (
            _case("no stop strings", "Without stop strings every piece is shown.", [], "def ", "read", "(path)"),
            _case("in one piece", "A stop string inside a piece ends the text there.", ["###"], "one ", "two ### three"),
            _case("in two pieces", "Half of a stop string must not be shown.", ["###"], "one #", "## two"),
            _case("letter by letter", "It may come in as many pieces as it has letters.", ["stop"], "a ", "s", "t", "o", "p", " b"),
            _case("only began", "What began like a stop string and went on otherwise is text.", ["stop"], "a st", "ep b"),
            _case("began again", "A new beginning may lie inside the one that failed.", ["aab"], "xaa", "a", "b", "y"),
            _case("the end comes first", "When no more comes, what was held is text.", ["###"], "one ##"),
            _case("the earlier of two", "Whichever is complete first ends the text, whatever the order of the list.", ["one", "two"], "say two and", " one"),
            _case("another after the end", "What comes behind the end is not looked at, not even another stop string.", ["two", "one"], "say two", " or one"),
            _case("two that began", "The longest beginning is held, for it may be the one.", ["abcd", "cx"], "ab", "c", "e"),
            _case("after the end", "Once it has stopped, nothing is shown.", ["#"], "a#b", "c", "d"),
            _case("at the very beginning", "A text may be empty.", ["#"], "#", "a"),
        ),
        "properties": (
            Property("any text in any pieces", _law(lambda call: _random(call, at_once=False)), "The pieces joined are the text up to the stop string, however it was cut up."),
            Property("no longer than needed", _law(lambda call: _random(call, at_once=True)), "A reader waits only for letters that could belong to a stop string."),
        ),
        "resources": (Property("forgets what is shown", _forgets, "What was shown is never needed again: a long answer must not be searched from its start at every token."),),
    },
    hints=(
        "What is on the screen cannot be taken back. So before showing, ask: how does the end of the text look?",
        "Hold the longest end of the text that is the beginning of a stop string, and nothing else; what was shown can be forgotten.",
        "held += piece\nif a stop string is in held: show held up to where the first begins, stopped = True, held = \"\"\n"
        "keep = the largest n below len(stop) with held.endswith(stop[:n])\nshow held[:-keep], hold the rest; finish shows what is held",
    ),
    solution="minillm/serving/writing/text_stream.py: TextStream, and notebooks/solutions/lesson_15.py: Mended",
    time_limit_s=10.0,
)  # fmt: skip
