"""The exercise 11.index: blocks found again by their tokens and by all that stands before them.

A learner's index is driven beside a dictionary whose keys are whole beginnings: too large to use, and too simple to be
wrong. What is kept for a long text is measured, and so is that looking it up does not read its beginning again and again.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

P = 4
MOST_KEPT = 2 * 2**20


class _Broken(Exception):
    """What the index answered wrongly, as facts; raised and caught here."""


class Beside:
    """A learner's index and a dictionary (salt, whole beginning) -> block, driven together."""

    def __init__(self, index: Any) -> None:
        self.index, self.known, self.story = index, dict[tuple, int](), list[str]()

    def insert(self, tokens: list[int], blocks: list[int], salt: str | None = None) -> Beside:
        self._call("insert", list(tokens), list(blocks), salt=salt)
        for i in range(len(tokens) // P):
            self.known.setdefault((salt, *tokens[: (i + 1) * P]), blocks[i])
        return self

    def forget(self, block: int) -> Beside:
        self._call("forget", block)
        self.known = {key: held for key, held in self.known.items() if held != block}
        return self

    def match(self, tokens: list[int], salt: str | None = None) -> Beside:
        want: list[int] = []
        while (len(want) + 1) * P < len(tokens) and (salt, *tokens[: (len(want) + 1) * P]) in self.known:
            want.append(self.known[salt, *tokens[: (len(want) + 1) * P]])
        got = self._call("match", list(tokens), salt=salt)
        if not isinstance(got, list | tuple) or list(got) != want:
            raise _Broken(clip(repr(got), 80), str(want))
        return self

    def _call(self, method: str, *args: Any, salt: str | None = None) -> Any:
        shown = ", ".join(clip(str(arg), 60) for arg in args) + (f", salt={salt!r}" if salt else "")
        self.story.append(f"{method}({shown})")
        more = {} if salt is None else {"salt": salt}
        return getattr(self.index, method)(*args, **more)


def _law(work: Callable[[Beside], object]) -> Callable[[LearnerCall], Finding | None]:
    def law(call: LearnerCall) -> Finding | None:
        beside = Beside(call(P))
        try:
            work(beside)
        except _Broken as broken:
            got, want = broken.args
            calls = "; ".join(["…"] * (len(beside.story) > 4) + beside.story[-4:])
            return Finding("", (("calls", calls), ("got", got), ("want", want)))
        return None

    return law


def _case(name: str, meaning: str, work: Callable[[Beside], object]) -> Property:
    return Property(name, _law(work), meaning)


A, B, X, Y = ([letter] * P for letter in (1, 2, 3, 4))


def _methods(call: LearnerCall) -> Finding | None:
    index = call(P)
    if missing := [name for name in ("insert", "match", "forget") if not callable(getattr(index, name, None))]:
        return Finding("", (("missing", ", ".join(missing)),))
    index.insert(A, [7])
    got = index.match([*A, 9])
    return None if isinstance(got, list | tuple) else Finding("", (("got", type(got).__name__), ("want", "a list")))


def _wander(beside: Beside) -> None:
    draw = random.Random(11)
    texts, fresh = [[*A, *B, *X, 9]], iter(range(100, 10**6))
    for _ in range(400):
        old = draw.choice(texts)
        text = old[: draw.randint(0, len(old))] + draw.choices(range(3), k=draw.randint(1, 9))
        texts = [*texts[-20:], text]
        salt, step = draw.choice((None, None, "ann")), draw.random()
        if step < 0.45:
            beside.insert(text, [next(fresh) for _ in range(-(-len(text) // P))], salt)
        elif step < 0.6 and beside.known:
            beside.forget(draw.choice(list(beside.known.values())))
        beside.match(old, salt).match(text, salt)


def _kept_bytes(call: LearnerCall) -> Finding | None:
    index, tokens = call(16), [i % 2000 for i in range(8192)]
    tracemalloc.start()
    index.insert(tokens, list(range(512)))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return None if kept <= MOST_KEPT else Finding("", (("kept", f"{kept:,} bytes"), ("limit", f"{MOST_KEPT:,} bytes")))


def _long_texts(call: LearnerCall) -> bool:
    index, tokens = call(16), [i % 2000 for i in range(2**17)]
    index.insert(tokens, list(range(2**13)))
    return list(index.match(tokens)) == list(range(2**13 - 1))


def _many_forgotten(call: LearnerCall) -> bool:
    index, tokens = call(1), list(range(30_000))
    index.insert(tokens, tokens)
    for block in reversed(tokens[10:]):
        index.forget(block)
    return list(index.match(tokens)) == tokens[:10]


INDEX = Exercise(
    id="11.index",
    title="Blocks found by all that stands before them",
    statement=(
        "Write a class with insert(token_ids, block_ids, salt=None): remember the block of each full block of tokens, unless one with "
        "the same tokens behind the same beginning is known already; match(token_ids, salt=None) -> the blocks of the longest known "
        "beginning, in order, at most (n - 1) // block_size of n tokens; and forget(block_id): find that block no longer. Texts with "
        "different salts share nothing."
    ),
    signature="Index(block_size)",
    layers={
        "contract": (Property("has the methods", _methods, "An index has insert, match and forget; match returns a list of block ids."),),
        "values": (
            _case("a text is found", "Two blocks were inserted, and both begin the new text.",
                  lambda i: i.insert([*A, *B], [7, 8]).match([*A, *B, 9])),
            _case("one token is left over", "n tokens have at most (n - 1) // block_size blocks to find: the model must see one token.",
                  lambda i: i.insert([*A, *B], [7, 8]).match([*A, *B]).match(A)),
            _case("full blocks only", "A block that is not full will be written to: it must not be found.",
                  lambda i: i.insert([*A, *B[:3]], [7, 8]).match([*A, *B[:3], 9, 9, 9]).match([*A, *B[:3]])),
            _case("in its place only", "A block depends on all tokens before it: behind another beginning it is another block.",
                  lambda i: i.insert([*A, *X], [7, 8]).match([*X, *A, 9]).insert([*B, *Y], [5, 6]).match([*B, *X, 9])),
            _case("alike for two blocks", "A name must say all that stands before, not the block before alone.",
                  lambda i: i.insert([*A, *X, *Y], [7, 8, 9]).insert([*B, *X], [5, 6]).match([*B, *X, *Y, 9])),
            _case("behind another beginning", "The same tokens behind two beginnings are two blocks.",
                  lambda i: i.insert([*A, *X], [7, 8]).insert([*B, *X], [5, 6]).match([*A, *X, 9]).match([*B, *X, 9])),
            _case("a text that repeats itself", "A text may hold the same tokens twice, in two blocks.",
                  lambda i: i.insert([*A, *A, *A], [7, 8, 9]).match([*A, *A, *A, 1])),
            _case("the first one stays", "A block whose text is known is not replaced.",
                  lambda i: i.insert([*A, *B], [7, 8]).insert([*A, *B, *X], [5, 6, 4]).match([*A, *B, *X, 9])),
            _case("a longer text later", "The new end hangs on the beginning that was known.",
                  lambda i: i.insert(A, [7]).insert([*A, *B], [7, 8]).match([*A, *B, 9])),
            _case("salt", "Texts with different salts share nothing, and no salt is one of them.",
                  lambda i: i.insert([*A, *B], [7, 8], "ann").match([*A, *B, 9]).match([*A, *B, 9], "bob").match([*A, *B, 9], "ann")),
            _case("forget the end", "A forgotten block is not found; those before it are.",
                  lambda i: i.insert([*A, *B, *X], [7, 8, 9]).forget(9).match([*A, *B, *X, 1])),
            _case("forget the middle", "A beginning has no holes: what stands behind a forgotten block is of no use.",
                  lambda i: i.insert([*A, *B, *X], [7, 8, 9]).forget(8).match([*A, *B, *X, 1])),
            _case("forgotten and back", "When the hole is filled, what stands behind it is found again.",
                  lambda i: i.insert([*A, *B, *X], [7, 8, 9]).forget(8).insert([*A, *B], [7, 5]).match([*A, *B, *X, 1])),
            _case("a block used again", "A block that was forgotten may come back for another text.",
                  lambda i: i.insert([*A, *B], [7, 8]).forget(8).insert([*A, *X], [7, 8]).match([*A, *B, 9]).match([*A, *X, 9])),
            _case("forget what nobody knows", "Forgetting a block that is not known changes nothing.",
                  lambda i: i.insert(A, [7]).forget(3).match([*A, 9])),
        ),
        "properties": (_case("a random walk", "Four hundred steps beside a dictionary of whole beginnings.", _wander),),
        "resources": (
            Property("keeps names, not beginnings", _kept_bytes, "What is kept for a block must not grow with its place in the text."),
            Property("reads a text once", _long_texts, "The name of a block must come from its parent's name, not from all tokens before it."),
            Property("forgets in one step", _many_forgotten, "Forgetting one block must not look through all of them."),
        ),
    },
    hints=(
        "Give every full block a name, and keep a dictionary from names to blocks. What must the name say, so that two blocks have the "
        "same name exactly if their keys and values are the same?",
        "name of a block = hash of (name of the block before it, its own tokens); the first block's parent is a name made of the salt.",
        "names(token_ids, salt): parent = sha256(repr(salt)) ; for each full block: parent = sha256(parent + its tokens as text), yield it\n"
        "insert: zip names with block_ids, keep what is new, in both directions (name -> block, block -> name)\n"
        "match: at most (n - 1) // block_size names; stop at the first that is unknown\nforget: remove the block's name from both",
    ),
    solution="minillm/cache/prefix.py: PrefixCache, and notebooks/solutions/lesson_11.py: Index",
    time_limit_s=5.0,
)  # fmt: skip
