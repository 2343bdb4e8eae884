"""The lesson's patient has the three faults that its clinic speaks of, and each of them alone is seen."""

from pathlib import Path

import pytest
import torch
from lesson_rules import Lesson, source

from minillm.lab.checks.judge import judge
from minillm.lab.exercises.page_clinic import CLINIC

LESSON = Path(__file__).parents[2] / "notebooks" / "10_paged_cache.ipynb"


def store():
    names = {"torch": torch}
    for cell in Lesson.read(LESSON).cells("code"):
        if source(cell).startswith(("class Patient", "class Store")):
            exec(source(cell), names)
    return names["Store"]


def without_tail(Sick):
    class Mended(Sick):
        def attend(self, name, q):
            ids, length = self.texts[name]
            rows = self.pages[ids].flatten(0, 1)[:length]
            return (rows @ q).softmax(0) @ rows

    return Mended


def with_own_pages(Sick):
    class Mended(Sick):
        def fork(self, name, new):
            ids, length = self.texts[name]
            copies = [self.free.pop() for _ in ids]
            self.pages[copies] = self.pages[ids]
            self.texts[new] = copies, length

    return Mended


def with_counted_pages(Sick):
    class Mended(Sick):
        def finish(self, name):
            ids, _ = self.texts.pop(name)
            held = {block for others, _ in self.texts.values() for block in others}
            self.free += [block for block in ids if block not in held]

    return Mended


@pytest.mark.parametrize(
    ("mends", "case"),
    [
        ((), "a partial last page"),
        ((without_tail,), "the fork writes"),
        ((without_tail, with_counted_pages), "the fork writes"),
        ((with_own_pages,), "a partial last page"),
        ((without_tail, with_own_pages), "forks take nothing"),
    ],
)
def test_the_patient_fails_where_the_lesson_says(mends, case):
    sick = store()
    for mend in mends:
        sick = mend(sick)
    verdict = judge(CLINIC, sick)
    assert (verdict.status, verdict.case) == ("failed", case), verdict


def test_a_shared_page_given_away_is_a_fault_of_its_own():
    sick = without_tail(store())(8, 4, 3)
    for _ in range(8):
        sick.append("ann", torch.ones(3))
    sick.fork("ann", "bob")
    sick.finish("ann")
    for _ in range(8):
        sick.append("cem", 5 * torch.ones(3))
    assert torch.allclose(sick.attend("bob", torch.ones(3)), torch.full((3,), 5.0))
