"""The lesson's patient has the faults that its clinic speaks of, and its readers are those that the check hands out."""

from pathlib import Path

import pytest
from lesson_rules import Lesson, source

from minillm.lab.checks.judge import judge
from minillm.lab.exercises.draft_clinic import CLINIC, Reader, alone

LESSON = Path(__file__).parents[2] / "notebooks" / "16_speculative.ipynb"


def defined(*starts):
    """What the lesson's cells define that begin with one of `starts`."""
    names = {}
    for cell in Lesson.read(LESSON).cells("code"):
        if source(cell).startswith(starts):
            exec(source(cell), names)
    return names


@pytest.fixture(scope="module")
def patient():
    return defined("def patient")["patient"]


def mended(*, first_wrong=True, target_cut=True, draft_cut=True, draft_reads_all=True, exact=True):
    """The patient with some of its five faults mended."""

    def write(target, draft, prompt, count, k):
        text = list(prompt)
        target.read(text[:-1])
        draft.read(text[:-1])
        while len(text) < len(prompt) + count:
            shown = text[-1:]
            for _ in range(k):
                shown += draft.read(shown[-1:])
            if draft_reads_all:
                draft.read(shown[-1:])
            chosen = target.read(shown)
            pairs = list(zip(shown[1:], chosen, strict=False))
            right = (
                next((i for i, (a, b) in enumerate(pairs) if a != b), k)
                if first_wrong
                else sum(a == b for a, b in pairs)
            )
            text += chosen[: right + 1]
            if target_cut:
                target.cut(len(text) - 1)
            if draft_cut:
                draft.cut(len(text) - 1)
        return text[len(prompt) :][: count if exact else None]

    return write


def test_the_patient_is_ill_in_the_values():
    result = judge(CLINIC, defined("def patient")["patient"])
    assert result.status == "failed" and result.layer == "values"


def test_all_faults_mended_it_is_well_and_any_one_left_it_is_not():
    assert judge(CLINIC, mended()).passed
    for fault in ("first_wrong", "target_cut", "draft_cut", "draft_reads_all", "exact"):
        assert judge(CLINIC, mended(**{fault: False})).status == "failed", fault


def test_the_patient_without_any_mending_is_the_lessons(patient):
    ill = mended(**dict.fromkeys(("first_wrong", "target_cut", "draft_cut", "draft_reads_all", "exact"), False))
    for errs, k in ((0, 3), (3, 3), (2, 1), (1, 4)):
        assert patient(Reader(), Reader(errs), [3, 1, 4], 12, k) == ill(Reader(), Reader(errs), [3, 1, 4], 12, k)


def test_with_no_guesses_the_patient_writes_alone_and_the_lessons_reader_is_the_checks(patient):
    Tiny = defined("def behind", "class Tiny")["Tiny"]
    assert patient(Tiny(), Tiny(), [3, 1, 4], 12, 0) == alone([3, 1, 4], 12)
    for errs in (0, 2, 3):
        assert Tiny(errs).read([3, 1, 4, 1, 5]) == Reader(errs).read([3, 1, 4, 1, 5])


def test_a_perfect_drafts_first_five_tokens_are_right_and_the_rest_is_not(patient):
    got, want = patient(Reader(), Reader(), [3, 1, 4], 12, 3), alone([3, 1, 4], 12)
    assert got[:5] == want[:5] and got[:12] != want and len(got) > 12
