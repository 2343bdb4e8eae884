"""The exercise 16.keep: which of a proposer's tokens stay, given what the target chose behind each."""

from __future__ import annotations

import random

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def keep_by_hand(drafts: list[int], chosen: list[int]) -> list[int]:
    """The definition: the target's own tokens, for as long as they stand behind what was really written."""
    written = [chosen[0]]
    while len(written) <= len(drafts) and written[-1] == drafts[len(written) - 1]:
        written.append(chosen[len(written)])
    return written


def _case(name: str, meaning: str, drafts: list[int], chosen: list[int]) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        finding = same(call(drafts, chosen), keep_by_hand(drafts, chosen))
        return finding and Finding("", (("drafts, chosen", f"{drafts}, {chosen}"), *finding.facts))

    return Property(name, law, meaning)


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(16)
    for _ in range(300):
        k = draw.randint(0, 6)
        drafts = draw.choices(range(3), k=k)
        chosen = [t if draw.random() < 0.6 else draw.randrange(3) for t in drafts] + [draw.randrange(3)]
        if finding := same(call(drafts, chosen), keep_by_hand(drafts, chosen)):
            return Finding("", (("drafts, chosen", f"{drafts}, {chosen}"), *finding.facts))
    return None


def _is_a_list(call: LearnerCall) -> Finding | None:
    got = call([4], [4, 5])
    if isinstance(got, list):
        return None
    return Finding("", (("got", type(got).__name__), ("want", "a list of token ids")))


KEEP = Exercise(
    id="16.keep",
    title="What a pass leaves standing",
    statement=(
        "drafts are k guessed tokens, and chosen the k + 1 tokens that the target chose: chosen[0] before the first guess, chosen[i + 1] "
        "behind drafts[i], if all the guesses up to there are right. Return the tokens that the text goes on with, from 1 to k + 1."
    ),
    signature="keep(drafts, chosen)",
    layers={
        "contract": (Property("a list", _is_a_list, "The answer is a list of the tokens that are written."),),
        "values": (
            _case("no guesses", "Without guesses a pass writes the one token that the target chose.", [], [7]),
            _case("all right", "When every guess is right, the last row's token comes on top.", [4, 5, 6], [4, 5, 6, 7]),
            _case("the first is wrong", "The target's own token stands in the place of the wrong guess.", [1, 5, 6], [4, 5, 6, 7]),
            _case("one in the middle is wrong", "Up to the wrong guess, and the target's own token in its place.", [4, 1, 6], [4, 5, 6, 7]),
            _case("the last is wrong", "The token behind a wrong guess was chosen for another text.", [4, 5, 1], [4, 5, 6, 7]),
            _case("right again behind a wrong one", "What agrees behind a wrong guess was chosen for a text that is not written.", [4, 1, 6], [4, 5, 6, 6]),
            _case("all alike", "Equal tokens are no reason to stop.", [3, 3, 3], [3, 3, 3, 3]),
        ),
        "properties": (Property("guesses at random", _at_random, "Three hundred passes, each against the definition."),),
    },
    hints=(
        "Go from left to right. As long as a guess is what the target chose in that place, it is written. What comes then?",
        "The result is always chosen[:m + 1], where m is the number of right guesses before the first wrong one.",
        "m = 0\nwhile m < len(drafts) and drafts[m] == chosen[m]: m += 1\nreturn chosen[:m + 1]",
    ),
    solution="minillm/decoding/speculative.py: accept_same_noise",
)  # fmt: skip
