"""A short day in two memories: the same few texts arrive, grow, fork and finish, in pages and in one piece each.

The pages are those of the real pool and the real tables; nothing is imitated. Each step leaves a frame behind, plain data
that says who has which slots, so that a slider can walk through the day in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from minillm.cache.block_pool import BlockPool
from minillm.cache.block_table import BlockTable
from minillm.lab.first_fit import FirstFit

SLOTS, LONGEST, STEPS = 96, 32, 24


@dataclass(frozen=True)
class Request:
    """A text that comes at `step` with `prompt` tokens, or as a fork of text `of`, and writes `answer` more, one a step."""

    name: str
    step: int
    answer: int
    prompt: int = 0
    of: str | None = None


REQUESTS = (
    Request("A", 0, 14, prompt=10),
    Request("B", 0, 5, prompt=14),
    Request("C", 1, 16, prompt=5),
    Request("D", 3, 9, of="A"),
    Request("E", 5, 8, prompt=22),
    Request("F", 8, 12, prompt=7),
    Request("G", 11, 8, prompt=17),
)


@dataclass(frozen=True)
class Piece:
    """Slots given out together: `used` of `size` hold a token; `owners` are the texts that read them."""

    start: int
    size: int
    used: int
    owners: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """One memory after one step: its pieces, each text's tokens and (in pages) blocks, who waits, and what just happened."""

    step: int
    events: tuple[str, ...]
    pieces: tuple[Piece, ...]
    lengths: dict[str, int]
    tables: dict[str, tuple[int, ...]]
    waiting: tuple[str, ...]
    written: int
    largest_hole: int

    @property
    def given_out(self) -> int:
        """Slots that belong to somebody."""
        return sum(piece.size for piece in self.pieces)

    @property
    def used(self) -> int:
        """Slots that hold a token; a shared one counts once."""
        return sum(piece.used for piece in self.pieces)

    @property
    def kept(self) -> int:
        """Tokens that texts can read; a shared one counts for each of its texts."""
        return sum(self.lengths.values())

    @property
    def empty(self) -> int:
        """Internal fragmentation: slots given out that hold nothing."""
        return self.given_out - self.used


class Side(Protocol):
    """One of the two memories, as `play` drives it."""

    def admit(self, request: Request, length: int) -> str:
        """Let a text of `length` tokens in -> what happened, or "" if it has to wait."""

    def grow(self, name: str, length: int) -> tuple[bool, str]:
        """One more token for a text of `length` -> whether there was room, and what is worth telling."""

    def leave(self, name: str) -> None:
        """The text is finished."""

    def pieces(self, lengths: dict[str, int]) -> list[Piece]:
        """Everything given out, in order of its place."""

    def tables(self) -> dict[str, tuple[int, ...]]:
        """The blocks of each text; empty where there are none."""

    def largest_hole(self) -> int:
        """The most slots one text could still get."""


@dataclass
class PagedSide:
    """The package's pool of pages and a table a text."""

    block_size: int
    pool: BlockPool = field(init=False)
    texts: dict[str, BlockTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = BlockPool(SLOTS // self.block_size, self.block_size)

    def admit(self, request: Request, length: int) -> str:
        if request.of in self.texts:
            self.texts[request.name] = self.texts[request.of].fork()
            return f"{request.name} forks {request.of}: {length} tokens shared, no page taken"
        table = BlockTable(self.pool)
        if table.blocks_needed(length) > self.pool.num_free:
            return ""
        table.append(length)
        self.texts[request.name] = table
        return f"{request.name} arrives: {length} tokens in pages {_listed(table.block_ids)}"

    def grow(self, name: str, length: int) -> tuple[bool, str]:
        table = self.texts[name]
        if table.blocks_needed(1) > self.pool.num_free:
            return False, f"{name} stands still: no page is free"
        copies = table.append(1)
        return True, "".join(f"{name} writes into page {a}, which is shared: copied to {b} first" for a, b in copies)

    def leave(self, name: str) -> None:
        self.texts.pop(name).free()

    def pieces(self, lengths: dict[str, int]) -> list[Piece]:
        used: dict[int, int] = {}
        owners: dict[int, list[str]] = {}
        for name, table in self.texts.items():
            for i, block in enumerate(table.block_ids):
                owners.setdefault(block, []).append(name)
                used[block] = max(used.get(block, 0), min(self.block_size, table.length - i * self.block_size))
        P = self.block_size
        return [Piece(block * P, P, used[block], tuple(owners[block])) for block in sorted(owners)]

    def tables(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(table.block_ids) for name, table in self.texts.items()}

    def largest_hole(self) -> int:
        return self.pool.num_free * self.block_size


@dataclass
class WholeSide:
    """One piece a text: `LONGEST` slots, or, if `known`, as many as it will need in the end."""

    known: bool
    runs: FirstFit = field(default_factory=lambda: FirstFit(SLOTS))

    def admit(self, request: Request, length: int) -> str:
        start = self.runs.reserve(request.name, length + request.answer if self.known else LONGEST)
        if start is None:
            return ""
        did = f"forks {request.of}: all {length} tokens copied" if request.of else f"arrives: {length} tokens"
        return f"{request.name} {did}, {self.runs.runs[request.name][1]} slots reserved from {start} on"

    def grow(self, name: str, length: int) -> tuple[bool, str]:
        return True, ""

    def leave(self, name: str) -> None:
        self.runs.release(name)

    def pieces(self, lengths: dict[str, int]) -> list[Piece]:
        runs = sorted(self.runs.runs.items(), key=lambda run: run[1])
        return [Piece(start, size, lengths[name], (name,)) for name, (start, size) in runs]

    def tables(self) -> dict[str, tuple[int, ...]]:
        return {}

    def largest_hole(self) -> int:
        return self.runs.largest_hole


def play(side: Side, requests: Sequence[Request] = REQUESTS, steps: int = STEPS) -> tuple[Frame, ...]:
    """Drive one memory through the day -> a frame a step. A step: the finished leave, the others write, then who fits comes in."""
    lengths, goals, asked = dict[str, int](), dict[str, int](), dict[str, int]()
    waiting, frames, written = list[Request](), list[Frame](), 0
    for step in range(steps + 1):
        events = []
        for name in [name for name in lengths if lengths[name] == goals[name]]:
            side.leave(name)
            del lengths[name]
            events.append(f"{name} is finished")
        for name in lengths:
            grown, told = side.grow(name, lengths[name])
            lengths[name] += grown
            written += grown
            events += [told] * bool(told)
        for request in (request for request in requests if request.step == step):
            asked[request.name] = lengths.get(request.of or "", request.prompt)
            waiting.append(request)
        while waiting and (told := side.admit(waiting[0], asked[waiting[0].name])):
            name = waiting[0].name
            lengths[name], goals[name] = asked[name], asked[name] + waiting.pop(0).answer
            events.append(told)
        names = tuple(request.name for request in waiting)
        events += [f"{name} has to wait" for name in names]
        pieces = tuple(side.pieces(lengths))
        frames.append(
            Frame(step, tuple(events), pieces, dict(lengths), side.tables(), names, written, side.largest_hole())
        )
    return tuple(frames)


def _listed(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))
