"""A day at the server, without a model: texts arrive, each writes a token a step, and memory decides who may come in.

The same seeded texts are served from three memories. One reserves the longest text allowed, one is told how long each
text will get, and one gives out pages as a text grows. Only slots are counted, one a token, so a run takes a moment.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab.first_fit import FirstFit

if TYPE_CHECKING:
    from minillm.cache.block_table import BlockTable


@dataclass(frozen=True)
class Text:
    """A request: `prompt` tokens are read, then `answer` tokens are written."""

    name: str
    prompt: int
    answer: int

    @property
    def length(self) -> int:
        """Tokens at the end."""
        return self.prompt + self.answer


def chat_texts(count: int, *, longest: int = 2048, seed: int = 0) -> list[Text]:
    """`count` texts of at most `longest` tokens: many short, a few long, as chats are (log-normal lengths)."""
    draw = random.Random(seed)
    texts = []
    for i in range(count):
        prompt, answer = (round(draw.lognormvariate(math.log(middle), 0.9)) for middle in (120, 220))
        prompt = min(max(prompt, 4), longest // 2)
        texts.append(Text(f"text {i}", prompt, min(max(answer, 4), longest - prompt)))
    return texts


class Memory(Protocol):
    """What a server asks of its memory; sizes in slots, one a token."""

    def admit(self, text: Text, length: int) -> bool:
        """Let a text of `length` tokens so far in, or leave everything as it was and say no."""

    def grow(self, name: str) -> bool:
        """Room for one more token of a text that is in; False if there is none."""

    def leave(self, name: str) -> None:
        """The text is done, or sent away: its slots are free."""

    @property
    def reserved(self) -> int:
        """Slots that nobody else can have."""

    @property
    def largest_hole(self) -> int:
        """The most slots that one text could still get."""


class ReserveLongest:
    """One piece a text, as long as a text may get: nobody knows how long this one will be."""

    def __init__(self, slots: int, longest: int) -> None:
        self.runs, self.longest = FirstFit(slots), longest

    def admit(self, text: Text, length: int) -> bool:
        return self.runs.reserve(text.name, self.piece(text)) is not None

    def piece(self, text: Text) -> int:
        """Slots reserved for a text."""
        return self.longest

    def grow(self, name: str) -> bool:
        return True

    def leave(self, name: str) -> None:
        self.runs.release(name)

    @property
    def reserved(self) -> int:
        return self.runs.size - self.runs.num_free

    @property
    def largest_hole(self) -> int:
        return self.runs.largest_hole


class ReserveKnown(ReserveLongest):
    """One piece a text, exactly as long as it will be: what no server can know."""

    def piece(self, text: Text) -> int:
        return text.length


class Paged:
    """Pages of `block_size` slots from one pool, one more whenever a text's last page is full."""

    def __init__(self, slots: int, block_size: int) -> None:
        from minillm.cache.block_pool import BlockPool

        self.pool = BlockPool(slots // block_size, block_size)
        self.tables: dict[str, BlockTable] = {}

    def admit(self, text: Text, length: int) -> bool:
        from minillm.cache.block_table import BlockTable

        table = BlockTable(self.pool)
        if table.blocks_needed(length) > self.pool.num_free:
            return False
        table.append(length)
        self.tables[text.name] = table
        return True

    def grow(self, name: str) -> bool:
        table = self.tables[name]
        if table.blocks_needed(1) > self.pool.num_free:
            return False
        table.append(1)
        return True

    def leave(self, name: str) -> None:
        self.tables.pop(name).free()

    @property
    def reserved(self) -> int:
        return self.pool.num_used * self.pool.block_size

    @property
    def largest_hole(self) -> int:
        return self.pool.num_free * self.pool.block_size


@dataclass(frozen=True)
class Moment:
    """The memory after one step: texts inside and outside, slots given out, slots that hold a token."""

    running: int
    waiting: int
    reserved: int
    used: int
    largest_hole: int


@dataclass(frozen=True)
class Day:
    """What happened from the first step to the last; `read_again` counts tokens of texts that were sent away and came back."""

    moments: tuple[Moment, ...]
    sent_away: int
    read_again: int

    @property
    def steps(self) -> int:
        """Steps until every text was written."""
        return len(self.moments)

    @property
    def busy(self) -> tuple[Moment, ...]:
        """The steps during which somebody was waiting for memory; all steps, if nobody ever was."""
        return tuple(moment for moment in self.moments if moment.waiting) or self.moments

    def mean(self, name: str) -> float:
        """The mean over the busy steps of one of a moment's numbers, such as "running"."""
        return sum(getattr(moment, name) for moment in self.busy) / len(self.busy)

    @property
    def use(self) -> float:
        """Slots that held a token, as a part of all slots given out, over the busy steps."""
        return self.mean("used") / self.mean("reserved")


def serve(memory: Memory, texts: Sequence[Text]) -> Day:
    """Serve `texts` in order of arrival, all waiting at first: who fits comes in, and each text inside writes a token a step.

    If a text inside cannot grow, the one that came last is sent back to the head of the queue, as engines do; what it
    has written is kept, and read again when it comes back. Raises InvalidValue for a text that the empty memory cannot hold.
    """
    waiting, inside = deque(texts), list[Text]()
    length = {text.name: text.prompt for text in texts}
    moments, sent_away, read_again = [], 0, 0
    while waiting or inside:
        while waiting and memory.admit(waiting[0], length[waiting[0].name]):
            inside.append(waiting.popleft())
        if not inside:
            numbers = f"{waiting[0].length} tokens"
            raise InvalidValue(rule_numbers_remedy("a text must fit into the empty memory", numbers, "make it larger"))
        for text in list(inside):
            while text in inside and not memory.grow(text.name):
                last = inside.pop()
                memory.leave(last.name)
                waiting.appendleft(last)
                sent_away, read_again = sent_away + 1, read_again + length[last.name]
            if text in inside:
                length[text.name] += 1
        used = sum(length[text.name] for text in inside)
        moments.append(Moment(len(inside), len(waiting), memory.reserved, used, memory.largest_hole))
        for text in [text for text in inside if length[text.name] == text.length]:
            memory.leave(text.name)
            inside.remove(text)
    return Day(tuple(moments), sent_away, read_again)
