"""Grading a notebook: run a copy of it from top to bottom, and collect what every `check` in it decided.

The notebook runs in a process of its own, in a copy of its folder, with a bound on time and on memory, so an endless loop
or a greedy cell costs a grade and nothing else. A cell that raises does not stop the cells after it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem, InvalidValue, Unsupported, rule_numbers_remedy
from minillm.lab.checks.result import FAILED, NOT_ATTEMPTED, PASSED, status_sign, verdict_html
from minillm.lab.exercises import lesson_exercises

MISSING = "missing"
MOST_FOLDER_BYTES = 200 * 2**20
_LEFT_OUT = {"__pycache__", "node_modules"}


@dataclass(frozen=True)
class ExerciseGrade:
    """One exercise of the notebook: the last verdict its checks gave, or `missing` when none ran."""

    exercise: str
    status: str
    layer: str | None = None
    case: str | None = None
    message: str = ""
    times_checked: int = 0


@dataclass(frozen=True)
class GradeReport:
    """What a notebook earned: `exercises` in lesson order, cells that raised, why it stopped early, and remarks."""

    notebook: str
    lesson: str | None
    exercises: tuple[ExerciseGrade, ...]
    cell_errors: tuple[str, ...] = ()
    stopped: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def num_passed(self) -> int:
        """How many exercises passed."""
        return sum(grade.status == PASSED for grade in self.exercises)

    @property
    def passed(self) -> bool:
        """True when there are exercises, all of them passed, and nothing in the notebook cast doubt on the verdicts."""
        return 0 < len(self.exercises) == self.num_passed and not any(r.startswith("tampering") for r in self.remarks)

    @property
    def headline(self) -> str:
        """The notebook's name and how many of its exercises passed."""
        return f"{self.notebook}: {self.num_passed} of {len(self.exercises)} exercises passed"

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(exercise, verdict) for each exercise, then anything else worth knowing."""
        rows = [
            (f"{status_sign(g.status)} {g.exercise}", g.status + (f" in {g.layer}" if g.layer else "") + _case(g))
            for g in self.exercises
        ]
        rows += [("stopped", self.stopped)] if self.stopped else []
        return rows + [("raised", text) for text in self.cell_errors] + [("remark", text) for text in self.remarks]

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self.rows), default=0)
        return "\n".join([self.headline, *(f"  {label:<{width}}  {text}" for label, text in self.rows)])

    def _repr_html_(self) -> str:
        return verdict_html(self.headline, self.rows, PASSED if self.passed else FAILED)

    def to_json(self) -> dict[str, Any]:
        """The report as a dictionary that `json.dumps` takes."""
        return {
            "notebook": self.notebook,
            "lesson": self.lesson,
            "passed": self.passed,
            "num_passed": self.num_passed,
            "num_exercises": len(self.exercises),
            "exercises": [vars(grade) for grade in self.exercises],
            "cell_errors": list(self.cell_errors),
            "stopped": self.stopped,
            "remarks": list(self.remarks),
        }


def grade_notebook(path: str | Path, *, timeout_s: float = 600.0, memory_mb: int = 8192) -> GradeReport:
    """Run the notebook at `path` and report on every exercise of its lesson (`01_…ipynb` is lesson 01).

    The whole run may take `timeout_s` seconds and its process `memory_mb` MiB of data (Linux only: elsewhere the report
    remarks that memory was not bounded). The GPU is hidden and predictions are off, as in the tests. An exercise checked
    more than once keeps its last verdict.

    The verdicts come from `check` itself, never from what a cell prints. A determined learner who edits the process
    (this is Python) could still forge them: the report remarks on the obvious ways, and a copy of the file keeps the
    code for you to read. It bounds accidents; it is not a sandbox for hostile code.

    Raises FileProblem for a file that is missing or no notebook, InvalidValue for a bound that is not above zero, and
    Unsupported where nbclient is not installed.
    """
    path = Path(path)
    for name, bound in (("timeout_s", timeout_s), ("memory_mb", memory_mb)):
        if not bound > 0:
            raise InvalidValue(
                rule_numbers_remedy(f"{name} must be above zero", repr(bound), "leave it out for the default")
            )
    try:
        from minillm.lab.grading.run import run_notebook
    except ImportError as error:
        rule = "grading runs notebooks with nbclient"
        raise Unsupported(rule_numbers_remedy(rule, str(error), "pip install 'minillm-workbook[notebooks]'")) from error
    notebook = _read(path)
    with tempfile.TemporaryDirectory(prefix="minillm-grade-") as scratch:
        folder = Path(scratch) / "work"
        _copy_folder(path, folder)
        run = run_notebook(notebook, folder, Path(scratch) / "checks.jsonl", timeout_s, memory_mb)
    number = re.match(r"\d\d", path.name)
    lesson = number.group() if number else None
    remarks = list(run.remarks)
    if lesson is None:
        remarks.append("the file's name does not begin with a lesson number, so missing exercises cannot be told")
    return GradeReport(path.name, lesson, _grades(lesson, run.verdicts), run.cell_errors, run.stopped, tuple(remarks))


def _grades(lesson: str | None, verdicts: Iterable[dict[str, Any]]) -> tuple[ExerciseGrade, ...]:
    """One grade per expected exercise, then one per other exercise that was checked; the last verdict counts."""
    grades = {exercise.id: ExerciseGrade(exercise.id, MISSING) for exercise in lesson_exercises(lesson or "")}
    for verdict in verdicts:
        name = str(verdict.get("exercise"))
        times = grades[name].times_checked if name in grades else 0
        status = verdict.get("status")
        grades[name] = ExerciseGrade(
            name,
            status if status in (PASSED, FAILED, NOT_ATTEMPTED) else FAILED,
            verdict.get("layer"),
            verdict.get("case"),
            str(verdict.get("message", "")),
            times + 1,
        )
    return tuple(grades.values())


def _case(grade: ExerciseGrade) -> str:
    return f" ({grade.case})" if grade.case else ""


def _read(path: Path) -> Any:
    """The notebook at `path`, as nbformat holds it; FileProblem for anything else."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except OSError as error:
        raise FileProblem(
            rule_numbers_remedy("the notebook could not be read", f"{path} ({error.strerror})", "check the path")
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        rule = "a notebook is a JSON file in the Jupyter format"
        raise FileProblem(
            rule_numbers_remedy(rule, f"{path.name}, which is not", "open and save it in JupyterLab")
        ) from error


def _copy_folder(path: Path, target: Path) -> None:
    """Copy the folder of `path` without hidden files, links and other notebooks; refuses one too large to be a lesson's."""
    target.mkdir()
    total = 0
    for source in _own_files(path.parent):
        total += source.stat().st_size
        if total > MOST_FOLDER_BYTES:
            rule = f"the notebook's folder may hold {MOST_FOLDER_BYTES >> 20} MiB"
            raise FileProblem(
                rule_numbers_remedy(rule, f"more in {path.parent}", "give the notebook a folder of its own")
            )
        if source.suffix == ".ipynb" and source.name != path.name:
            continue
        place = target / source.relative_to(path.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)


def _own_files(folder: Path) -> Iterable[Path]:
    """Regular files below `folder`, not following links or entering hidden folders."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in _LEFT_OUT or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _own_files(entry)
        elif entry.is_file():
            yield entry
