"""The exercise 16.look_up: what followed the last tokens where they stood before, found without searching the text."""

from __future__ import annotations

import random

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

MOST_ASKED = 60  # a step of two tokens' worth of dictionary work, and ample room


class Token(int):
    """A token id that counts how often anybody hashes or compares it."""

    asked = 0

    def __deepcopy__(self, memo: dict) -> Token:
        return self

    def __eq__(self, other: object) -> bool:
        Token.asked += 1
        return int.__eq__(self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        Token.asked += 1
        return int.__ne__(self, other)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        Token.asked += 1
        return int.__hash__(self)


def propose_by_hand(text: list[int], k: int, longest: int) -> list[int]:
    """The definition: the longest end that stood before, its latest place, and what followed there."""
    for n in range(min(longest, len(text) - 1), 0, -1):
        for start in range(len(text) - n - 1, -1, -1):
            if text[start : start + n] == text[len(text) - n :]:
                return text[start + n : start + n + k]
    return []


def _compare(call: LearnerCall, texts: list[tuple[list[int], int, int]]) -> Finding | None:
    for text, k, longest in texts:
        look_up = call(longest)
        look_up.extend(list(text))
        got, want = look_up.propose(k), propose_by_hand(text, k, longest)
        if got != want:
            facts = (("text", str(text)), ("k, longest", f"{k}, {longest}"), ("got", str(got)), ("want", str(want)))
            return Finding("", facts)
    return None


def _case(name: str, meaning: str, text: list[int], k: int = 3, longest: int = 3) -> Property:
    return Property(name, lambda call: _compare(call, [(text, k, longest)]), meaning)


def _methods(call: LearnerCall) -> Finding | None:
    look_up = call(3)
    missing = [name for name in ("extend", "propose") if not callable(getattr(look_up, name, None))]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    look_up.extend([1, 2, 1])
    got = look_up.propose(1)
    return None if isinstance(got, list) else Finding("", (("got", type(got).__name__), ("want", "a list")))


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(16)
    texts = [
        (draw.choices(range(draw.choice((2, 4))), k=draw.randint(0, 14)), draw.randint(1, 5), draw.randint(1, 4))
        for _ in range(250)
    ]
    return _compare(call, texts)


def _grows(call: LearnerCall) -> Finding | None:
    draw, text, look_up = random.Random(17), list[int](), call(3)
    for _ in range(80):
        new = draw.choices(range(3), k=draw.randint(0, 3))
        look_up.extend(list(new))
        text += new
        got, want = look_up.propose(4), propose_by_hand(text, 4, 3)
        if got != want:
            return Finding("", (("text", str(text)[-60:]), ("got", str(got)), ("want", str(want))))
    return None


def _cheap(call: LearnerCall) -> Finding | None:
    draw, look_up = random.Random(18), call(3)
    look_up.extend([Token(draw.randrange(9)) for _ in range(3000)])
    Token.asked = 0
    for _ in range(20):
        look_up.extend([Token(draw.randrange(9))])
        look_up.propose(4)
    if Token.asked / 20 <= MOST_ASKED:
        return None
    facts = (("got", f"{Token.asked / 20:.0f} tokens hashed or compared a step"), ("want", f"at most {MOST_ASKED}"))
    return Finding("", facts)


ABC = [1, 2, 3]
LOOK_UP = Exercise(
    id="16.look_up",
    title="The text guesses for itself",
    statement=(
        "extend(tokens) appends to a text. propose(k) finds the longest of its ends, of `longest` tokens at most and one at least, that "
        "also stood earlier in it, takes the latest of those places, and returns the up to k tokens that follow there; [] when there is none."
    ),
    signature="LookUp(longest)",
    layers={
        "contract": (Property("has the methods", _methods, "A look-up has extend(tokens) and propose(k), which returns a list."),),
        "values": (
            _case("an end that stood before", "Behind 1 2 3 came 4 5 6.", [*ABC, 4, 5, 6, 9, *ABC]),
            _case("nothing stood before", "The last token is new: there is nothing to look up.", [1, 2, 3, 4]),
            _case("an empty text", "An empty text has no end.", []),
            _case("one token", "The text's own end is no earlier place.", [5]),
            _case("the longest end", "Behind 2 3 alone came 8, but behind 1 2 3 came 4.", [*ABC, 4, 7, 2, 3, 8, *ABC]),
            _case("the latest place", "1 2 3 stood twice: the later one counts.", [*ABC, 4, 4, 4, 7, *ABC, 5, 5, 5, 7, *ABC]),
            _case("no longer than asked", "With ends of one token the latest 3 counts, whatever stood before it.", [*ABC, 4, 7, 3, 8, *ABC], 2, 1),
            _case("fewer follow than asked", "Only what follows in the text can be proposed.", [*ABC, 4, *ABC], 9),
            _case("it overlaps itself", "The earlier place may reach into the end itself.", [1, 1, 1], 2),
            _case("a shorter end is better than none", "1 2 3 is new here, 2 3 is not.", [9, 2, 3, 8, *ABC]),
        ),
        "properties": (
            Property("texts at random", _at_random, "Two hundred and fifty short texts against the definition."),
            Property("a text that grows", _grows, "The text grows between proposals, by none to three tokens."),
        ),
        "resources": (Property("no searching", _cheap, "A step must not go through the text again: enter what was read as it is read."),),
    },
    hints=(
        "You look for an end of the text among earlier pieces of it. Which structure finds a piece without searching?",
        "A dictionary from every piece of 1 to `longest` tokens to the position behind its latest place. When may a piece be entered, so that "
        "the text's end does not find itself?",
        "extend: for each token: for n in 1 … longest: after[tuple(text[-n:])] = len(text)   (for ends that are that long); then append it\n"
        "propose: for n from longest down to 1: place = after.get(tuple(text[-n:])); if there is one: return text[place:place + k]",
    ),
    solution="minillm/decoding/speculative.py: NgramIndex",
    time_limit_s=20.0,
)  # fmt: skip
