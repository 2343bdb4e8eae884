"""The exercise 11.free_list: free blocks in the order in which they will be missed least.

A learner's list is driven beside plain lists that are searched from end to end. Blocks without a name are all alike, so
which of them comes first is nobody's business; among named ones the order is fixed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


class _Broken(Exception):
    """A rule the list broke, in words; raised and caught here."""


class Beside:
    """A learner's free list, and what should be in it: a set without names, and (block, name) in the order of reuse."""

    def __init__(self, free: Any, num_blocks: int) -> None:
        self.free, self.plain, self.named = free, set(range(num_blocks)), list[tuple[int, str]]()
        self.story = [f"FreeList({num_blocks})"]

    def put(self, blocks: list[int], names: list[str | None]) -> Beside:
        self._call("put", list(blocks), list(names))
        for block, name in reversed(list(zip(blocks, names, strict=True))):
            if name is None or name in [held for _, held in self.named]:
                self.plain.add(block)
            else:
                self.named.append((block, name))
        return self.agree()

    def take(self, n: int) -> list[int]:
        if n > len(self.plain) + len(self.named):
            self._refuse(n)
            return []
        got = self._call("take", n)
        if not isinstance(got, list | tuple) or len(got) != n or len(set(got)) != n:
            raise _Broken(f"take({n}) returned {clip(repr(got), 60)}; want {n} different blocks")
        nameless = min(n, len(self.plain))
        first, rest, want = set(got[:nameless]), list(got[nameless:]), [b for b, _ in self.named[: n - nameless]]
        if not first <= self.plain:
            raise _Broken(f"take({n}) returned {got}; first come blocks without a name, of {sorted(self.plain)}")
        if rest != want:
            raise _Broken(f"take({n}) returned {got}; after the nameless ones come {want}")
        self.plain -= first
        del self.named[: n - nameless]
        self.agree()
        return list(got)

    def find(self, name: str) -> Beside:
        want = next((block for block, held in self.named if held == name), None)
        got = self._call("find", name)
        if got != want:
            raise _Broken(f"find({name!r}) returned {clip(repr(got), 60)}; want {want}")
        self.named = [(block, held) for block, held in self.named if held != name]
        return self.agree()

    def agree(self) -> Beside:
        want = len(self.plain) + len(self.named)
        if self.free.num_free != want:
            raise _Broken(f"num_free is {clip(repr(self.free.num_free), 60)}; want {want}")
        return self

    def _refuse(self, n: int) -> None:
        try:
            self._call("take", n)
        except ValueError:
            self.story[-1] += " raised ValueError"
            self.agree()
            return
        raise _Broken(f"take({n}) was accepted; it must raise ValueError")

    def _call(self, method: str, *args: Any) -> Any:
        self.story.append(f"{method}({', '.join(map(repr, args))})")
        return getattr(self.free, method)(*args)


def _case(name: str, meaning: str, work: Callable[[Beside], object], num_blocks: int = 6) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        beside = Beside(call(num_blocks), num_blocks)
        try:
            work(beside.agree())
        except _Broken as broken:
            calls = "; ".join(beside.story[:1] + ["…"] * (len(beside.story) > 7) + beside.story[1:][-6:])
            return Finding("", (("calls", calls), ("what", str(broken))))
        return None

    return Property(name, law, meaning)


def _methods(call: LearnerCall) -> Finding | None:
    free = call(2)
    missing = [name for name in ("take", "put", "find", "num_free") if not hasattr(free, name)]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    if callable(free.num_free):
        return Finding("", (("what", "num_free is a method: write @property above it"),))
    return None


def _takes(f: Beside) -> None:
    f.take(2), f.take(0), f.take(4)


def _nameless_first(f: Beside) -> None:
    a, b, c, *_ = f.take(6)
    f.put([a], ["a"]).put([b, c], [None, None])
    f.take(2), f.take(1)


def _ends_first(f: Beside) -> None:
    f.put(f.take(6)[:4], ["a", "b", "c", "d"])
    f.take(2), f.take(2)


def _oldest_first(f: Beside) -> None:
    blocks = f.take(6)
    f.put(blocks[:2], ["a", "b"]).put(blocks[2:4], ["c", "d"]).put(blocks[4:], ["e", "f"])
    f.take(3), f.take(3)


def _partly_named(f: Beside) -> None:
    f.put(f.take(6)[:3], ["a", "b", None])
    f.take(1), f.take(2)


def _found_comes_back(f: Beside) -> None:
    blocks = f.take(6)
    f.put(blocks[:2], ["a", "b"]).put(blocks[2:4], ["c", "d"])
    f.find("b").find("a").put(blocks[:2], ["a", "b"])
    f.take(4)


def _taken_is_forgotten(f: Beside) -> None:
    blocks = f.put(f.take(6)[:2], ["a", "b"]).take(2)
    f.find("a").find("b").put(blocks, ["c", None]).find("a").find("c").find("c")


def _unknown(f: Beside) -> None:
    f.find("a").take(6)
    f.find("a")


def _twice_named(f: Beside) -> None:
    blocks = f.take(6)
    f.put(blocks[:2], ["a", "b"]).put(blocks[2:4], ["a", "c"])
    f.take(1), f.find("a").find("a").take(2)


def _too_many(f: Beside) -> None:
    blocks = f.take(4)
    f.put(blocks[:2], ["a", None])
    f.take(5), f.find("a").take(3)
    f.take(1)


def _wander(f: Beside) -> None:
    draw = random.Random(11)
    held: list[int] = []
    for _ in range(500):
        step, named = draw.random(), [name for _, name in f.named]
        if step < 0.4:
            held += f.take(draw.randint(0, 6))
        elif step < 0.75:
            blocks, held = held[:3], held[3:]
            f.put(
                blocks, [draw.choice((None, *"abcdefghij")) if named or draw.random() < 0.7 else None for _ in blocks]
            )
        elif named:
            block, name = draw.choice(f.named)
            f.find(name)
            held.append(block)
        else:
            f.find("z")


MANY = 2**16


def _many(call: LearnerCall) -> bool:
    free = call(MANY)
    free.put(free.take(MANY), [str(i) for i in range(MANY)])
    found = [free.find(str(i)) for i in range(MANY // 4, 3 * MANY // 4)]
    free.put(found, [None] * len(found))
    return len(free.take(MANY)) == MANY


FREE_LIST = Exercise(
    id="11.free_list",
    title="Who is forgotten first",
    statement=(
        "Write a class that holds free blocks; at first all of 0 … num_blocks - 1, without names. put(blocks, names) takes back the "
        "blocks of one text, first to last, each with its name or None; a name that is there already stays with its block, and the new "
        "one has none. take(n) -> n blocks to overwrite: those without a name first, then the one put back longest ago, and of one "
        "text its last block first. find(name) takes a named block out and returns it, or None. num_free counts. take raises "
        "ValueError for more than there are, and changes nothing."
    ),
    signature="FreeList(num_blocks)",
    layers={
        "contract": (Property("has the methods", _methods, "A free list has take, put, find and the property num_free."),),
        "values": (
            _case("blocks without names", "All blocks are there at the start, and each is handed out once.", _takes),
            _case("the nameless go first", "A block without a name holds nothing that anybody could ask for: it goes first.", _nameless_first),
            _case("a text's end goes first", "Without its end a text's beginning is of use; without its beginning the end is not.", _ends_first),
            _case("the oldest goes first", "The text put back longest ago is the least likely to be asked for.", _oldest_first),
            _case("a text with a nameless end", "A text's last block is mostly not full, and has no name.", _partly_named),
            _case("found and put back", "Who was asked for a moment ago goes last.", _found_comes_back),
            _case("what is taken is forgotten", "A block handed out will be overwritten: its name must lead nowhere.", _taken_is_forgotten),
            _case("a name nobody has", "find returns None for a name that is not there.", _unknown),
            _case("a name that is there already", "Two texts may have computed the same block: the first keeps the name.", _twice_named),
            _case("more than there are", "take looks first, and takes only if there is enough.", _too_many),
        ),
        "properties": (_case("a random walk", "Five hundred steps beside plain lists.", _wander, 24),),
        "resources": (
            Property("many blocks", _many, "Finding a block and taking it out of the middle must not walk over the others."),
        ),
    },
    hints=(
        "Two collections are enough: blocks without a name, and named ones in the order in which they go. Which of Python's containers "
        "keeps an order and lets you remove from its middle in one step?",
        "A dict keeps the order of insertion, and deletes anywhere in one step. Put a text's blocks in from its end, and its first key is "
        "always the next to go.",
        "self.plain = list(range(num_blocks)); self.named = OrderedDict()     # name -> block, next to go first\n"
        "put: for block, name in reversed(list(zip(blocks, names))): into named if it has a new name, else into plain\n"
        "take: first look whether n are there; then plain.pop() while there are any, else named.popitem(last=False)\n"
        "find: named.pop(name, None)",
    ),
    solution="minillm/cache/block_pool.py: BlockPool, and notebooks/solutions/lesson_11.py: FreeList",
    time_limit_s=4.0,
)  # fmt: skip
