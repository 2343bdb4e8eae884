"""Every exercise against answers known to be wrong or right: each wrong one must fail in the layer it names."""

import importlib.util
from pathlib import Path

import pytest

from minillm.kernels.runtime import mode
from minillm.lab.checks.judge import judge
from minillm.lab.exercises import all_exercises, find_exercise

FOLDER = Path(__file__).parents[1] / "wrong_answers" / "exercises"


def exercise_of(path: Path):
    """The exercise that an answer file belongs to; skips where it cannot be judged."""
    exercise = find_exercise(path.parent.name)
    if exercise.interpreted and mode().name != "interpreter":
        pytest.skip(f"needs Triton's interpreter; here: {mode()}")
    return exercise


def load(path: Path):
    """The answer file as a module; its folder's name has a dot, so an import statement cannot reach it."""
    spec = importlib.util.spec_from_file_location(f"answer_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer_files(kind: str) -> list:
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in sorted(FOLDER.glob(f"*/{kind}_*.py"))]


@pytest.mark.parametrize("path", answer_files("wrong"))
def test_a_wrong_answer_is_rejected_by_the_layer_it_names(path):
    exercise, module = exercise_of(path), load(path)
    result = judge(exercise, module.answer)
    assert result.status == "failed", f"{path.name} was accepted:\n{result}"
    assert result.layer == module.LAYER, f"{path.name} should fail in {module.LAYER}:\n{result}"


@pytest.mark.parametrize("path", answer_files("right"))
def test_a_right_answer_is_accepted(path):
    result = judge(exercise_of(path), load(path).answer)
    assert result.passed, f"{path.name} was rejected:\n{result}"


def test_every_exercise_has_enough_answers_of_both_kinds(capsys):
    counts = {}
    for exercise in all_exercises():
        folder = FOLDER / exercise.id
        counts[exercise.id] = (len(list(folder.glob("wrong_*.py"))), len(list(folder.glob("right_*.py"))))
    with capsys.disabled():
        print("".join(f"\n  {name}: {wrong} wrong, {right} right" for name, (wrong, right) in counts.items()))
    assert {name for name, (wrong, right) in counts.items() if wrong < 4 or right < 2} == set()


def test_every_folder_belongs_to_an_exercise():
    known = {exercise.id for exercise in all_exercises()}
    assert {folder.name for folder in FOLDER.iterdir() if folder.is_dir() and folder.name != "__pycache__"} <= known
