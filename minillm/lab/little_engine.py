"""A serving engine small enough to keep in the head: texts in pages, and a pass over those that a schedule picks.

The model is a function from all words it can read to the next word. Words are read through a text's page table, from a
memory that never forgets, so a schedule that gives a page away too soon shows at once: in somebody's text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Model = Callable[[list[str]], str]


def initials(words: list[str]) -> str:
    """The first letters of all words read: a model that shows what it has seen."""
    return "".join(word[0] for word in words)


@dataclass(eq=False)
class Text:
    """What is known of a text. `computed` of its words are in its pages; it leaves when it has `stop` words."""

    name: str
    words: list[str]
    stop: int
    table: list[int] = field(default_factory=list)
    computed: int = 0
    written_at: list[int] = field(default_factory=list)


class LittleEngine:
    """`num_pages` pages of `page_size` words. A subclass says in `schedule` who takes part in the next pass.

    `running` and `waiting` are in order of arrival; `done` holds what was written, by name; `passes` lists, for each pass,
    how many words of whom were computed. Input is trusted.
    """

    def __init__(self, model: Model = initials, num_pages: int = 64, page_size: int = 4) -> None:
        self.model, self.num_pages, self.page_size = model, num_pages, page_size
        self.free = list(range(num_pages))
        self.memory: dict[int, str] = {}
        self.waiting: deque[Text] = deque()
        self.running: list[Text] = []
        self.done: dict[str, Text] = {}
        self.passes: list[dict[str, int]] = []

    def schedule(self) -> Sequence[Text]:
        """Texts of `running` that have pages for all their words."""
        raise NotImplementedError

    def add(self, name: str, prompt: str, answer: int) -> None:
        """A text of these words waits to have `answer` more written."""
        words = prompt.split()
        self.waiting.append(Text(name, words, len(words) + answer))

    def take_pages(self, text: Text) -> bool:
        """Give a text the pages that all its words need; take none, and say False, if there are too few."""
        missing = -(-len(text.words) // self.page_size) - len(text.table)
        if missing > len(self.free):
            return False
        text.table += [self.free.pop() for _ in range(missing)]
        return True

    def give_back(self, text: Text) -> None:
        """All of a text's pages are free again."""
        self.free += text.table
        text.table = []

    def step(self) -> None:
        """One pass: every picked text's new words are put into its pages, then each reads all of its own."""
        batch = list(self.schedule())
        self.passes.append({text.name: len(text.words) - text.computed for text in batch})
        for text in batch:
            for i in range(text.computed, len(text.words)):
                self.memory[self._slot(text, i)] = text.words[i]
        for text in batch:
            text.computed = len(text.words)
            text.words.append(self.model(self.read(text)))
            text.written_at.append(len(self.passes) - 1)
            if len(text.words) == text.stop:
                self.running.remove(text)
                self.give_back(text)
                self.done[text.name] = text

    def read(self, text: Text) -> list[str]:
        """A text's computed words, as they stand in its pages."""
        return [self.memory.get(self._slot(text, i), "?") for i in range(text.computed)]

    def run(self, most: int = 10_000) -> int:
        """Step until nobody is left -> the number of passes. Stops after `most`."""
        for _ in range(most):
            if not self.waiting and not self.running:
                break
            self.step()
        return len(self.passes)

    def _slot(self, text: Text, i: int) -> int:
        return text.table[i // self.page_size] * self.page_size + i % self.page_size


def written_alone(model: Model, prompt: str, answer: int) -> list[str]:
    """The words that a text must have at its end, whoever its neighbours were."""
    words = prompt.split()
    for _ in range(answer):
        words.append(model(list(words)))
    return words


def seats(engine: LittleEngine, names: Sequence[str], *, written: str = "█", waits: str = "·") -> str:
    """A line a text: the passes in which it had a word written, and those in which it did not, while anybody was there."""
    lines = []
    for name in names:
        took_part = {i for i, who in enumerate(engine.passes) if name in who}
        last = max(took_part, default=-1)
        marks = "".join(written if i in took_part else waits for i in range(last + 1))
        lines.append(f"{name:<6} {marks}")
    return "\n".join(lines)
