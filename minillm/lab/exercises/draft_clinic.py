"""The clinic of lesson 16: a loop of guessing and checking that believes its own guesses.

Its two readers are as simple as ones can be whose every word depends on all before it, so a word too many or too few in their
memory changes what they say. They count the passes and the words they are asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

V = 10  # tokens


class Reader:
    """Remembers the tokens it `read`, names the next behind each, and can be `cut`; wrong at one place in `errs`, if any."""

    def __init__(self, errs: int = 0) -> None:
        self.errs, self.tokens = errs, list[int]()
        self.passes = self.words = 0

    def __deepcopy__(self, memo: dict) -> Reader:
        return self  # the one that counts, not a copy of it

    @property
    def length(self) -> int:
        return len(self.tokens)

    def read(self, tokens: Sequence[int]) -> list[int]:
        self.passes += bool(tokens)
        self.words += len(tokens)
        rows = []
        for token in tokens:
            self.tokens.append(token)
            rows.append(self._next())
        return rows

    def cut(self, length: int) -> None:
        del self.tokens[length:]

    def _next(self) -> int:
        state = 7
        for token in self.tokens:
            state = (31 * state + token + 1) % 10007
        wrong = self.errs and state % self.errs == 0
        return (state + bool(wrong)) % V


def alone(prompt: Sequence[int], count: int) -> list[int]:
    """What the target writes by itself."""
    target, text = Reader(), list(prompt)
    for _ in range(count):
        text.append(target.read(text[target.length :])[-1])
    return text[len(prompt) :]


def _write(
    call: LearnerCall, errs: int, prompt: list[int], count: int, k: int
) -> tuple[Finding | None, Reader, Reader]:
    target, draft = Reader(), Reader(errs)
    got, want = call(target, draft, prompt, count, k), alone(prompt, count)
    facts = (("prompt, count, k", f"{prompt}, {count}, {k}"), ("got", str(got)[:90]), ("want", str(want)[:90]))
    return (None if got == want else Finding("", facts)), target, draft


def _case(name: str, meaning: str, errs: int, prompt: list[int], count: int, k: int) -> Property:
    return Property(name, lambda call: _write(call, errs, prompt, count, k)[0], meaning)


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(16)
    for _ in range(60):
        prompt = draw.choices(range(V), k=draw.randint(1, 6))
        finding, _, _ = _write(call, draw.randint(0, 5), prompt, draw.randint(1, 25), draw.randint(1, 5))
        if finding:
            return finding
    return None


def _is_a_list(call: LearnerCall) -> Finding | None:
    got = call(Reader(), Reader(), [1, 2], 3, 2)
    return None if isinstance(got, list) else Finding("", (("got", type(got).__name__), ("want", "a list of tokens")))


def fewest_passes(errs: int, prompt: Sequence[int], count: int, k: int) -> int:
    """Passes of the target when both memories always hold the text: guesses count up to the draft's next mistake."""
    text = [*prompt, *alone(prompt, count)]
    guesses = Reader(errs).read(text)
    place, passes = len(prompt), 0
    while place < len(text):
        right = 0
        while right < k and place + right < len(text) and guesses[place + right - 1] == text[place + right]:
            right += 1
        place, passes = place + right + 1, passes + 1
    return passes


def _few_passes(errs: int, k: int) -> Callable[[LearnerCall], Finding | None]:
    def law(call: LearnerCall) -> Finding | None:
        prompt, count = [3, 1, 4], 12 * (k + 1)
        finding, target, _ = _write(call, errs, prompt, count, k)
        most = fewest_passes(errs, prompt, count, k) + 2
        if finding or target.passes <= most:
            return finding
        return Finding(
            "", (("got", f"{target.passes} passes of the target for {count} tokens"), ("want", f"at most {most}"))
        )

    return law


def _few_words(call: LearnerCall) -> Finding | None:
    finding, target, draft = _write(call, 3, [3, 1, 4, 1, 5], 60, 3)
    # A pass shows the target its newest token and k drafts; the draft reads at most two tokens and its own.
    for name, reader, most in (("target", target, 5 + 4 * 60), ("draft", draft, 5 + 5 * 60)):
        if reader.words > most and not finding:
            return Finding("", (("got", f"{reader.words} tokens read by the {name}"), ("want", f"at most {most}")))
    return finding


CLINIC = Exercise(
    id="16.clinic",
    title="Clinic: the writer who believes in itself",
    statement=(
        "Mend the patient. write(target, draft, prompt, count, k) returns the count tokens that the target would write alone. Each pass the "
        "draft guesses k tokens and the target reads its newest token and the guesses together. read(tokens) appends to a reader's memory and "
        "names the next token behind each; cut(length) keeps the first tokens only; length says how many there are."
    ),
    signature="write(target, draft, prompt, count, k)",
    layers={
        "contract": (Property("a list", _is_a_list, "The answer is a list of tokens."),),
        "values": (
            _case("a draft that is always right", "It worked while nothing was rejected: keep it so.", 0, [3, 1, 4], 8, 3),
            _case("a draft that is always wrong", "Every guess is rejected; each pass writes the target's own token.", 1, [3, 1, 4], 8, 3),
            _case("rejected now and then", "What was read of rejected guesses must leave the target's memory.", 3, [3, 1, 4], 12, 3),
            _case("no more than asked for", "A pass may write more than is still wanted.", 0, [3, 1, 4], 5, 3),
            _case("one token", "One token is wanted, whatever was guessed.", 2, [2, 7], 1, 4),
            _case("guesses of one token", "With one guess a pass there is nothing behind it to drop.", 3, [5, 5], 12, 1),
            _case("a prompt of one token", "There is nothing to read before the newest token.", 3, [8], 12, 3),
        ),
        "properties": (Property("sixty texts", _at_random, "Drafts of all qualities, against the target alone."),),
        "resources": (
            Property("all right, few passes", _few_passes(0, 3), "A draft that thinks as the target does must never be rejected: does its memory hold the whole text?"),
            Property("wrong now and then, few passes", _few_passes(3, 3), "A guess for another text is seldom right: what was rejected must leave the draft's memory, too."),
            Property("guesses of one, few passes", _few_passes(0, 1), "With k = 1 and a draft that is always right, each pass writes two tokens."),
            Property("nothing read again", _few_words, "A pass reads what is new: to read the whole text again costs what speculation saves."),
        ),
    },
    hints=(
        "There are two memories, and a text. After every pass ask for each memory: does it hold a beginning of the text, and what is missing?",
        "Guesses count up to the first wrong one. Then both memories are cut to the text without its newest token, and a memory that is "
        "shorter reads what it lacks before it goes on: a draft never reads its own last guess.",
        "drafts = draft.read(text[draft.length:])[-1:], then k - 1 times drafts += draft.read(drafts[-1:])\n"
        "chosen = target.read(text[target.length:] + drafts)[-k - 1:]\n"
        "m = number of right guesses before the first wrong one; text += chosen[:m + 1]\n"
        "target.cut(len(text) - 1); draft.cut(len(text) - 1)",
    ),
    solution="notebooks/solutions/lesson_16.py: write",
    time_limit_s=20.0,
)  # fmt: skip
