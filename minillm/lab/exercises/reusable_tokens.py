"""The exercise 11.reusable: how many tokens of a prompt are known from a text that was kept, in whole blocks."""

from __future__ import annotations

import random

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Numbers, Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def reusable_by_hand(kept: list[int], prompt: list[int], block_size: int) -> int:
    """The definition: block by block, while they are alike and a token is left over."""
    tokens = 0
    while tokens + block_size < len(prompt) and tokens + block_size <= len(kept):
        if kept[tokens : tokens + block_size] != prompt[tokens : tokens + block_size]:
            break
        tokens += block_size
    return tokens


def _case(name: str, meaning: str, kept: list[int], prompt: list[int], block_size: int) -> Numbers:
    want = reusable_by_hand(kept, prompt, block_size)
    return Numbers(name, (kept, prompt, block_size), want, "tokens", meaning)


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(11)
    for _ in range(200):
        start = draw.choices(range(3), k=draw.randint(0, 12))
        kept = start + draw.choices(range(3), k=draw.randint(0, 12))
        prompt = start + draw.choices(range(3), k=draw.randint(1, 12))
        args = kept, prompt, draw.randint(1, 5)
        if finding := same(call(*args), reusable_by_hand(*args)):
            return Finding("", (("kept, prompt, block_size", str(args)), *finding.facts))
    return None


TEN = list(range(10, 20))
REUSABLE = Exercise(
    id="11.reusable",
    title="What a kept text saves",
    statement=(
        "kept and prompt are lists of token ids. The keys and values of kept lie in full blocks of block_size tokens; what does not "
        "fill a block is not kept. How many tokens of prompt need not be computed, if the model must be shown one at least?"
    ),
    signature="reusable(kept, prompt, block_size)",
    layers={
        "values": (
            _case("two whole blocks", "The first eight tokens are the same: two blocks of four.", TEN[:8], TEN, 4),
            _case("part of a block", "The texts differ inside the second block: it cannot be used.", TEN[:8], [*TEN[:6], 0, 0, 0], 4),
            _case("nothing in common", "The first tokens differ: nothing can be used.", TEN, [0, *TEN[1:]], 4),
            _case("the same text later", "A block is of use only where it was computed: behind the same tokens.", TEN[:8], [*TEN[4:8], *TEN[:4], 1], 4),
            _case("alike again after a difference", "What follows a difference was computed behind other tokens.", TEN, [*TEN[:4], 0, *TEN[5:]], 2),
            _case("the same text again", "One token must be left for the model, so the last full block cannot be used.", TEN[:8], TEN[:8], 4),
            _case("one token more", "Eight tokens are kept and the ninth is left for the model.", TEN[:8], TEN[:9], 4),
            _case("the kept text ends in a block", "The end of the kept text does not fill a block, so it was not kept.", TEN[:6], TEN, 4),
            _case("a prompt of one token", "It is the one token that the model must see.", TEN, TEN[:1], 1),
            _case("blocks of one token", "With blocks of one token all but the last can be used.", TEN, TEN, 1),
            _case("a block longer than both", "No block was filled.", TEN, TEN, 16),
        ),
        "properties": (Property("texts at random", _at_random, "Two hundred pairs of texts that begin alike."),),
    },
    hints=(
        "Three things limit it: where the texts first differ, where the kept text ends, and that the model must see one token.",
        "Only what lies before the first difference counts, and of that only whole blocks.",
        "alike = how many leading tokens are equal (zip ends with the shorter text)\n"
        "tokens = min(alike, len(prompt) - 1), rounded down to a multiple of block_size",
    ),
    solution="notebooks/solutions/lesson_11.py: reusable",
)  # fmt: skip
