"""The lesson's patient has the faults that its clinic speaks of, and its names are those of the package."""

from pathlib import Path

import pytest
from lesson_rules import Lesson, source

from minillm.cache.prefix import as_bytes, block_digests
from minillm.lab.checks.judge import judge
from minillm.lab.exercises.prefix_clinic import CLINIC

LESSON = Path(__file__).parents[2] / "notebooks" / "11_prefix_cache.ipynb"


def defined(*starts):
    """What the lesson's cells define that begin with one of `starts`."""
    names = {}
    for cell in Lesson.read(LESSON).cells("code"):
        if source(cell).startswith(starts):
            exec(source(cell), names)
    return names


def with_parents(Sick):
    """Blocks are known by all that stands before them."""

    class Mended(Sick):
        def answer(self, tokens, salt=None):
            past, answer = [], "…"
            for start in range(0, len(tokens), self.P):
                name = tuple(tokens[: start + self.P])
                if name not in self.kept:
                    self.kept[name], answer = self.model(past, name[start:])
                past = past + self.kept[name]
            return answer

    return Mended


def with_a_token_left(Sick):
    """The last block is always read."""

    class Mended(Sick):
        def answer(self, tokens, salt=None):
            stop = (len(tokens) - 1) // self.P * self.P
            self.kept.pop(tuple(tokens[stop:]), None)
            return super().answer(tokens, salt)

    return Mended


def with_salt(Sick):
    """Every salt has a patient of its own."""

    class Mended:
        def __init__(self, model, block_size):
            self.make, self.of = lambda: Sick(model, block_size), {}

        def answer(self, tokens, salt=None):
            return self.of.setdefault(salt, self.make()).answer(tokens, salt)

    return Mended


@pytest.mark.parametrize(
    ("mends", "case"),
    [
        ((), "the same words behind others"),
        ((with_a_token_left, with_salt), "the same words behind others"),
        ((with_parents, with_salt), "the same prompt again"),
    ],
)
def test_the_patient_fails_where_the_lesson_says(mends, case):
    sick = defined("class Patient")["Patient"]
    for mend in mends:
        sick = mend(sick)
    verdict = judge(CLINIC, sick)
    assert (verdict.status, verdict.case) == ("failed", case), verdict


def test_the_lessons_names_are_the_packages():
    ids = [7, 8, 9, 2000, 1, 2, 3]
    digests = [digest.hex()[:4] for digest, *_ in block_digests(as_bytes(ids), 3, 2)]
    assert list(defined("from array", "def names")["names"](ids, 2)) == digests
