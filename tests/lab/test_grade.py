"""Grading: verdicts come from checks alone, broken cells don't stop the rest, and time and memory are bounded."""

import json
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from minillm.errors import FileProblem, InvalidValue
from minillm.lab.grading.grade import GradeReport, _copy_folder, _grades, grade_notebook

RIGHT = """
import torch
import minillm as ml

def attention(q, k, v, causal=False):
    scores = torch.einsum("blhd,bshd->bhls", q, k) / q.shape[-1] ** 0.5
    L, S = scores.shape[-2:]
    if causal:
        scores = scores.masked_fill(~torch.ones(L, S, dtype=torch.bool).tril(S - L), float("-inf"))
    return torch.einsum("bhls,bshd->blhd", scores.softmax(-1).nan_to_num(), v)
"""
CHECK = 'ml.lab.check("01.attention", attention)'


def write(path, *cells):
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    return path


def grade_of(report, exercise="01.attention"):
    return next(grade for grade in report.exercises if grade.exercise == exercise)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A notebook that checks in the middle of a cell, raises in another, prints a lie, and reads a file beside it."""
    path = tmp_path_factory.mktemp("learner") / "01_attention_2.ipynb"
    (path.parent / "helper.py").write_text("VALUE = 7\n")
    notebook = write(
        path,
        "import minillm as ml\ndef attention(q, k, v, causal=False):\n    raise NotImplementedError\n" + CHECK,
        RIGHT + f"result = {CHECK}\nprint(result.passed)",
        "nonsense",
        'import helper; open("made_by_the_notebook", "w").write("x")\nml.lab.predict("01.a", helper.VALUE)',
        "print('✗ 01.attention failed in values: a lie')",
        'print("{\\"exercise\\": \\"01.attention\\", \\"status\\": \\"failed\\"}")',
    )
    return notebook, grade_notebook(notebook, timeout_s=60)


def test_the_last_verdict_of_a_check_counts(honest):
    grade = grade_of(honest[1])
    assert (grade.status, grade.times_checked) == ("passed", 2)


def test_a_cell_that_raises_is_reported_and_passed_over(honest):
    assert honest[1].cell_errors == ("cell 2: NameError: name 'nonsense' is not defined",)
    assert honest[1].stopped is None and honest[1].remarks == ()


def test_exercises_of_the_lesson_that_never_ran_are_missing(honest):
    from minillm.lab.exercises import lesson_exercises

    missing = {grade.exercise for grade in honest[1].exercises if grade.status == "missing"}
    assert missing == {exercise.id for exercise in lesson_exercises("01")} - {"01.attention"}


def test_the_learners_folder_is_left_as_it_was(honest):
    assert {file.name for file in honest[0].parent.iterdir()} == {"01_attention_2.ipynb", "helper.py"}


def test_text_html_and_json_agree(honest):
    report = honest[1]
    data = json.loads(json.dumps(report.to_json()))
    assert data["num_passed"] == 1 and data["exercises"][0]["message"].startswith("✓ 01.attention passed")
    for label, text in report.rows:
        assert label in repr(report) and text in repr(report)
        assert label in report._repr_html_()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
def test_time_and_memory_are_bounded(tmp_path):
    notebook = write(
        tmp_path / "01_bounds.ipynb",
        "hog = bytearray(6 * 2**30)",
        "while True:\n    try:\n        while True: print('x' * 1000)\n    except KeyboardInterrupt: pass",
        RIGHT + CHECK,
    )
    started = time.monotonic()
    report = grade_notebook(notebook, timeout_s=3, memory_mb=2048)
    assert time.monotonic() - started < 20
    assert "cell 0: MemoryError" in report.cell_errors[0]
    assert "ran out" in report.stopped and not report.passed


def test_a_replaced_check_and_a_dying_process_are_noticed(tmp_path):
    path = tmp_path / "01_replaced.ipynb"
    cheat = "import minillm.lab.checks.judge as c\nc._judge_case = lambda case, call: None\n"
    report = grade_notebook(write(path, RIGHT, cheat + CHECK), timeout_s=60)
    assert grade_of(report).status == "passed"
    assert "_judge_case" in report.remarks[0] and not report.passed
    report = grade_notebook(write(path, "import os; os._exit(3)", RIGHT + CHECK), timeout_s=60)
    assert report.stopped.startswith("the process died in cell 0") and grade_of(report).status == "missing"


def test_grades_survive_odd_records():
    grades = _grades(
        "01", [{"exercise": "01.attention", "status": "excellent"}, {"exercise": "elsewhere", "status": "passed"}]
    )
    assert grades[0].status == "failed"
    assert grades[-1].exercise == "elsewhere"
    assert not GradeReport("x.ipynb", None, ()).passed


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"cells": 3}'])
def test_what_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "01_x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FileProblem):
        grade_notebook(path)


def test_bounds_must_be_positive(tmp_path):
    path = write(tmp_path / "01_x.ipynb")
    with pytest.raises(InvalidValue, match="timeout_s must be above zero"):
        grade_notebook(path, timeout_s=0)
    with pytest.raises(InvalidValue, match="memory_mb"):
        grade_notebook(path, memory_mb=-1)


def test_the_copy_leaves_out_hidden_files_links_and_other_notebooks(tmp_path):
    work = tmp_path / "my_work"
    (work / ".minillm").mkdir(parents=True)
    (work / "data").mkdir()
    for name in ("01_a.ipynb", "02_b.ipynb", ".minillm/predictions.json", "data/x.txt"):
        (work / name).write_text("x")
    (work / "link").symlink_to("/etc")
    _copy_folder(work / "01_a.ipynb", tmp_path / "copy")
    copied = {str(file.relative_to(tmp_path / "copy")) for file in (tmp_path / "copy").rglob("*")}
    assert copied == {"01_a.ipynb", "data", "data/x.txt"}
