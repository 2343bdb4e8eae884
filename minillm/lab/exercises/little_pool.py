"""The exercise 10.pool: an allocator of pages with reference counts, judged by a state machine.

A random walk of allocations, forks and frees, good ones and bad ones, runs beside a model that is too simple to be wrong:
a list of counts. After every step the two must agree on what is free, and a refused call must have changed nothing.
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

P = 4


class _Broken(Exception):
    """A rule the pool broke, in words; raised and caught here."""


class Walk:
    """A learner's pool and the counts it should have, driven side by side; `story` holds what was called so far."""

    def __init__(self, pool: Any, num_blocks: int) -> None:
        self.pool, self.counts, self.story = pool, [0] * num_blocks, [f"Pool({num_blocks}, {P})"]

    @property
    def free(self) -> list[int]:
        return [block for block, count in enumerate(self.counts) if not count]

    def allocate(self, n: int) -> list[int]:
        if n > len(self.free):
            self.refuse("allocate", n)
            return []
        ids = self._call("allocate", n)
        self._whole_numbers(ids, n)
        if taken := [block for block in ids if self.counts[block]]:
            raise _Broken(f"block {taken[0]} was handed out, and is in use")
        for block in ids:
            self.counts[block] = 1
        self.agree()
        return list(ids)

    def fork(self, ids: list[int]) -> None:
        shared = self._call("fork", ids)
        if list(shared or []) != ids:
            raise _Broken(f"fork({ids}) returned {clip(repr(shared), 60)}")
        for block in ids:
            self.counts[block] += 1
        self.agree()

    def give_back(self, ids: list[int]) -> None:
        self._call("free", ids)
        for block in ids:
            self.counts[block] -= 1
        self.agree()

    def refuse(self, method: str, argument: Any) -> None:
        """The call must raise ValueError and leave the pool as it was."""
        try:
            self._call(method, argument)
        except ValueError:
            self.story[-1] += " raised ValueError"
            self.agree()
            return
        raise _Broken(f"{method}({argument}) was accepted; it must raise ValueError")

    def agree(self) -> None:
        """The number of free blocks is the model's."""
        if self.pool.num_free != len(self.free):
            raise _Broken(f"num_free is {clip(repr(self.pool.num_free), 60)}; it must be {len(self.free)}")

    def drain(self) -> None:
        """Every free block can be had, once, and one more cannot."""
        self.allocate(len(self.free))
        self.refuse("allocate", 1)

    def _call(self, method: str, argument: Any) -> Any:
        self.story.append(f"{method}({argument})")
        return getattr(self.pool, method)(list(argument) if isinstance(argument, list) else argument)

    def _whole_numbers(self, ids: Any, n: int) -> None:
        good = isinstance(ids, list | tuple) and len(ids) == n and all(type(block) is int for block in ids)
        if not good or len(set(ids)) != n or not all(0 <= block < len(self.counts) for block in ids):
            raise _Broken(f"allocate({n}) returned {clip(repr(ids), 60)}; want {n} different block numbers from 0 to {len(self.counts) - 1}")  # fmt: skip


def _law(work: Callable[[Walk], None], num_blocks: int = 6) -> Callable[[LearnerCall], Finding | None]:
    def law(call: LearnerCall) -> Finding | None:
        walk = Walk(call(num_blocks, P), num_blocks)
        try:
            walk.agree()
            work(walk)
        except _Broken as broken:
            calls = "; ".join(walk.story[:1] + ["…"] * (len(walk.story) > 7) + walk.story[1:][-6:])
            return Finding("", (("calls", calls), ("what", str(broken))))
        return None

    return law


def _case(name: str, meaning: str, work: Callable[[Walk], None]) -> Property:
    return Property(name, _law(work), meaning)


def _takes(walk: Walk) -> None:
    walk.allocate(2), walk.allocate(0), walk.allocate(3)


def _comes_back(walk: Walk) -> None:
    ids = walk.allocate(6)
    walk.give_back(ids[1:4])
    walk.give_back(walk.allocate(3))
    walk.drain()


def _shares(walk: Walk) -> None:
    ids = walk.allocate(3)
    walk.fork(ids[:2])
    walk.give_back(ids)
    walk.give_back(ids[:2])
    walk.drain()


def _three_readers(walk: Walk) -> None:
    ids = walk.allocate(1)
    for _ in range(2):
        walk.fork(ids)
    for _ in range(3):
        walk.give_back(ids)
    walk.drain()


def _too_many(walk: Walk) -> None:
    walk.allocate(4)
    walk.refuse("allocate", 3)
    walk.drain()


def _double_free(walk: Walk) -> None:
    ids = walk.allocate(3)
    walk.give_back(ids[:1])
    walk.refuse("free", ids[:1])
    walk.refuse("fork", ids[:1])
    walk.drain()


def _not_one_by_one(walk: Walk) -> None:
    ids = walk.allocate(3)
    walk.give_back(ids[2:])
    walk.refuse("free", ids)
    walk.refuse("fork", ids)
    walk.give_back(ids[:2])
    walk.drain()


def _twice_in_one_call(walk: Walk) -> None:
    ids = walk.allocate(2)
    walk.refuse("free", [ids[0], ids[0]])
    walk.fork(ids)
    walk.refuse("fork", [ids[1], ids[0], ids[1]])
    walk.give_back(ids)
    walk.give_back(ids)
    walk.drain()


def _no_such_block(walk: Walk) -> None:
    walk.allocate(6)
    for block in (-1, 6):
        walk.refuse("free", [block])
        walk.refuse("fork", [block])
    walk.refuse("allocate", -1)


def _state_machine(call: LearnerCall) -> Finding | None:
    for seed in range(4):
        if finding := _law(lambda walk, seed=seed: _wander(walk, random.Random(seed)), 16)(call):  # type: ignore[misc]
            return finding
    return None


def _wander(walk: Walk, draw: random.Random) -> None:
    for _ in range(300):
        used = [block for block, count in enumerate(walk.counts) if count]
        some = draw.sample(used, min(len(used), draw.randint(1, 4)))
        step = draw.random()
        if step < 0.4:
            walk.allocate(draw.randint(0, 5))
        elif step < 0.55:
            walk.fork(some)
        elif step < 0.9 or not walk.free:
            walk.give_back(some)
        else:
            some.insert(draw.randint(0, len(some)), draw.choice(walk.free))
            walk.refuse(draw.choice(("free", "fork")), some)
    while any(walk.counts):
        walk.give_back([block for block, count in enumerate(walk.counts) if count])
    walk.drain()


MANY = 2**20


def _million(call: LearnerCall) -> Finding | bool | None:
    pool = call(MANY, P)
    held = pool.allocate(MANY // 2)
    for _ in range(20_000):
        ids = pool.allocate(2)
        pool.fork(ids)
        pool.free(ids)
        pool.free(ids)
    pool.free(held)
    return pool.num_free == MANY


def _methods(call: LearnerCall) -> Finding | None:
    pool = call(2, P)
    missing = [name for name in ("allocate", "free", "fork", "num_free") if not hasattr(pool, name)]
    if missing:
        return Finding("", (("missing", ", ".join(missing)),))
    if callable(pool.num_free):
        return Finding("", (("what", "num_free is a method: write @property above it"),))
    return None


POOL = Exercise(
    id="10.pool",
    title="A pool of pages",
    statement=(
        "Write a class with allocate(n) -> n block numbers, each with one reference; fork(ids) -> the same ids, each with one "
        "reference more; free(ids), one reference less each, and a block without references is free again; and the property "
        "num_free. What cannot be done raises ValueError and changes nothing: more blocks than are free, a negative number, and "
        "in fork and free a block that is free, does not exist or is named twice."
    ),
    signature="Pool(num_blocks, block_size)",
    layers={
        "contract": (Property("has the methods", _methods, "A pool has allocate, free, fork and the property num_free."),),
        "values": (
            _case("allocate takes", "allocate(n) returns n different blocks that were free.", _takes),
            _case("free gives back", "A block that was given back can be had again.", _comes_back),
            _case("fork shares", "A block with two references is free only when both are gone.", _shares),
            _case("three readers", "Count the references: forked twice, a block is free after three.", _three_readers),
            _case("more than there are", "allocate looks first, and takes only if there is enough.", _too_many),
            _case("a free block is nobody's", "A block without references can be neither freed nor forked.", _double_free),
            _case("all or nothing", "One bad block in the list, and the call must leave the good ones as they were.", _not_one_by_one),
            _case("twice in one call", "A block may be named once a call: free([a, a]) is a mistake of the caller's.", _twice_in_one_call),
            _case("no such block", "Python takes -1 for the last element of a list; here it is no block.", _no_such_block),
        ),
        "properties": (
            Property("the state machine", _state_machine, "A random walk of good and bad calls, beside a list of counts."),
        ),
        "resources": (
            Property("a million blocks", _million, "Taking a block or giving one back must not depend on how many there are."),
        ),
    },
    hints=(
        "Two things are enough: a list of the blocks that are free, and a count of references for each block.",
        "A block is in the free list exactly if its count is 0. Check everything a call needs before you change anything.",
        "allocate: n between 0 and len(free), then pop n times from the END of the list; their counts become 1\n"
        "fork: ids all different, in range, with a count above 0; then each count grows by one, and the ids are returned\n"
        "free: the same check; then each count shrinks by one, and at 0 the block goes back to the end of the list",
    ),
    solution="minillm/cache/block_pool.py, and notebooks/solutions/lesson_10.py: Pool",
    time_limit_s=6.0,
)  # fmt: skip
