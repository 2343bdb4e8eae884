"""Lessons are tested with the GPU hidden; a learner's is not. Those that borrow Triton must get its interpreter there too."""

import json
import os
import subprocess
import sys

import pytest

from minillm.lab.lessons import find_lessons

BORROWS = "borrow_triton()"
PRETEND = """
from minillm.kernels import runtime
runtime._gpu_name, runtime._gpu_architecture = lambda: "a GPU", lambda: "sm_90"
"""


def first_cells(path):
    """The code of a lesson up to the cell that borrows Triton; None where none does."""
    cells = [
        "".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"
    ]
    last = next((i for i, cell in enumerate(cells) if BORROWS in cell), None)
    return None if last is None else "\n".join(cells[: last + 1])


BORROWERS = {path.stem: code for path in find_lessons() if (code := first_cells(path))}


def test_some_lesson_borrows_triton():
    assert BORROWERS


@pytest.mark.parametrize("lesson", BORROWERS)
def test_triton_is_borrowed_before_it_is_imported_to_compile(lesson):
    pytest.importorskip("triton")
    code = PRETEND + BORROWERS[lesson] + '\nassert runtime.mode().name == "interpreter", runtime.mode()'
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
