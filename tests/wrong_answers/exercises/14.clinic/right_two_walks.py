"""Two walks: those who write, then those who read."""

from dataclasses import dataclass


@dataclass
class Text:
    name: str
    known: int
    end: int
    computed: int = 0

    @property
    def writes(self):
        return self.computed > 0 and self.known == self.computed + 1


class answer:
    def __init__(self, budget, page):
        self.budget, self.texts = budget, {}

    def add(self, name, prompt, answer):
        self.texts[name] = Text(name, prompt, prompt + answer)

    def step(self):
        line = [text for text in self.texts.values() if text.writes]
        line += [text for text in self.texts.values() if not text.writes]
        plan, used = [], 0
        for text in line:
            count = min(text.known - text.computed, self.budget - used)
            if not count:
                break
            used += count
            start, text.computed = text.computed, text.computed + count
            ends = text.computed == text.known
            plan.append((text.name, start, count, ends))
            if ends:
                text.known += 1
            if text.known == text.end:
                del self.texts[text.name]
        return plan
