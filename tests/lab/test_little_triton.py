"""The stand-in runs the lesson's kernels as Triton's interpreter does: the same numbers, the same bytes."""

import importlib.util

import pytest
import torch

import minillm as ml
from minillm.kernels import runtime
from minillm.lab import little_triton
from minillm.lab.checks.judge import judge
from minillm.lab.exercises import find_exercise, lesson_exercises


@pytest.fixture
def without_triton(monkeypatch):
    monkeypatch.setattr(runtime, "_triton_is_installed", lambda: False)


def solutions(repository):
    """A fresh copy of the lesson's solutions, with whatever Triton there is."""
    path = repository / "notebooks" / "solutions" / "lesson_04.py"
    spec = importlib.util.spec_from_file_location("lesson_04_little", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launches():
    """(solution, arguments before out, out) on awkward shapes."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(9, 37, generator=random)
    hidden = rows.clone()
    hidden[2], hidden[3, 5:] = -torch.inf, -torch.inf
    a, b = torch.randn(33, 17, generator=random), torch.randn(45, 17, generator=random).T
    yield "scale", (rows[0], 2.5), torch.empty(37)
    yield "row_sum", (rows[::2].T,), torch.empty(37)
    yield "softmax_rows", (hidden,), torch.empty(9, 37)
    yield "gather_rows", (rows, torch.tensor([4, -1, 99, 0], dtype=torch.int32)), torch.empty(4, 37)
    yield "matmul_tiles", (a, b), torch.empty(33, 45)
    yield "mended", (rows.T,), torch.empty(37, 9)


def outcomes(module):
    found = {}
    for name, inputs, out in launches():
        with ml.count() as counted:
            getattr(module, name)(*inputs, out)
        found[name] = (out, counted.bytes_loaded, counted.bytes_stored, counted.flops)
    return found


@pytest.mark.skipif(runtime.mode().name != "interpreter", reason="compares with Triton's interpreter")
def test_same_numbers_and_same_counts_as_the_interpreter(repository, monkeypatch):
    theirs = outcomes(solutions(repository))
    monkeypatch.setattr(runtime, "_triton_is_installed", lambda: False)
    ours = outcomes(solutions(repository))
    for name, (out, *counts) in ours.items():
        torch.testing.assert_close(out, theirs[name][0], msg=name)
        assert tuple(counts) == theirs[name][1:], name


def test_without_triton_the_stand_in_is_borrowed_and_exercises_say_so(without_triton, repository):
    assert little_triton.borrow_triton() == (little_triton.LITTLE_TRITON, little_triton.LITTLE_LANGUAGE)
    answers = solutions(repository).SOLUTIONS
    for exercise in lesson_exercises("04"):
        verdict = judge(exercise, answers[exercise.id])
        assert verdict.status == ("not attempted" if exercise.interpreted else "passed")
        assert ("needs Triton" in verdict.message) == exercise.interpreted


def test_where_kernels_are_compiled_the_check_says_what_to_do(monkeypatch):
    monkeypatch.setattr(runtime, "mode", lambda: runtime.Mode("gpu", "kernels are compiled for a GPU"))
    verdict = judge(find_exercise("04.scale"), lambda x, factor, out: out)
    assert verdict.status == "not attempted" and "TRITON_INTERPRET=1" in verdict.message


def test_an_address_outside_the_memory_is_an_error():
    kernel = little_triton.Kernel(lambda x: little_triton.LITTLE_LANGUAGE.load(x + 99))
    with pytest.raises(IndexError):
        kernel[(1,)](torch.zeros(3))
