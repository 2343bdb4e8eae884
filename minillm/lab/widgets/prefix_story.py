"""Prompts arrive one after another at two prefix caches, a hash chain and a radix tree; each leaves a frame behind.

The caches and the pools are the package's own, and nothing is imitated. A prompt looks up what is known, takes blocks for
the rest, is computed, and gives everything back; what was full stays to be found by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minillm.cache.block_pool import BlockPool
from minillm.cache.prefix import PrefixCache, as_bytes, block_digests
from minillm.cache.radix import Node, RadixCache


@dataclass(frozen=True)
class Run:
    """A piece of kept text: `tokens` behind `start` others, in `block_ids`; `parent` is its place in the list, or None.

    In the chain it is one block, and `name` begins its digest; in the tree it is as long as nobody leaves it half-way.
    """

    parent: int | None
    start: int
    block_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True)
class Frame:
    """One prompt in one cache: the blocks found and taken, the kept blocks that had to go, and all that is kept afterwards."""

    found: tuple[int, ...]
    taken: tuple[int, ...]
    lost: tuple[int, ...]
    runs: tuple[Run, ...]


def play(kind: type[PrefixCache] | type[RadixCache], prompts: Sequence[Sequence[int]], slots: int, size: int) -> tuple[Frame, ...]:  # fmt: skip
    """Prompts as token ids, `slots` slots of memory in blocks of `size` -> a frame a prompt."""
    pool, lost, frames = BlockPool(slots // size, size), list[int](), list[Frame]()
    cache = kind(pool)
    pool.on_reuse.append(lost.append)
    for i, ids in enumerate(prompts):
        lost.clear()
        found = pool.fork(cache.match(ids))
        taken = pool.allocate(-(-len(ids) // size) - len(found))
        cache.insert(ids, found + taken)
        pool.free(found + taken)
        runs = _tree(cache) if isinstance(cache, RadixCache) else _chain(pool, prompts[: i + 1])
        frames.append(Frame(tuple(found), tuple(taken), tuple(lost), runs))
    return tuple(frames)


def _chain(pool: BlockPool, prompts: Sequence[Sequence[int]]) -> tuple[Run, ...]:
    """Every digest of these prompts that the pool still keeps a block under, parents before children."""
    size, places, runs = pool.block_size, dict[bytes, int](), list[Run]()
    for ids in prompts:
        links = block_digests(as_bytes(ids), len(ids) // size, size)
        for start, (digest, parent, _) in zip(range(0, len(ids), size), links, strict=False):
            block = pool.find(digest)
            if block is not None and digest not in places:
                places[digest] = len(runs)
                tokens = tuple(ids[start : start + size])
                runs.append(Run(places.get(parent), start, (block,), tokens, digest.hex()[:4]))
    return tuple(runs)


def _tree(cache: RadixCache) -> tuple[Run, ...]:
    """Every run of the tree, parents before children."""
    runs = list[Run]()

    def walk(node: Node, parent: int | None, start: int) -> Iterator[None]:
        for child in node.children.values():
            place, tokens = len(runs), tuple(child.token_ids)
            runs.append(Run(parent, start, tuple(child.block_ids), tokens))
            yield from walk(child, place, start + len(tokens))

    for root in cache.roots.values():
        list(walk(root, None, 0))
    return tuple(runs)


def rows_of(runs: Sequence[Run]) -> list[int]:
    """A row for each run, so that a first child stands right of its parent and every other begins a new row."""
    children: dict[int | None, list[int]] = {}
    for place, run in enumerate(runs):
        children.setdefault(run.parent, []).append(place)
    rows, free = [0] * len(runs), 0
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        place = waiting.pop()
        rows[place] = free
        if place in children:
            waiting += reversed(children[place])
        else:
            free += 1
    return rows
