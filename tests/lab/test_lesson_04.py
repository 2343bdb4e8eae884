"""The patient of lesson 04 is one: the kernel on the page and its twin in the exercise fail alike, on every input."""

import importlib.util

import pytest
import torch
from lesson_rules import Lesson, source

from minillm.kernels.runtime import mode
from minillm.lab.exercises.failing_inputs import OUTSIDE, run_patient
from minillm.lab.lessons import find_lesson
from minillm.lab.walled_memory import neighbourhood, walled

pytestmark = pytest.mark.skipif(mode().name != "interpreter", reason="needs Triton's interpreter")
SQUARE = torch.arange(64.0).reshape(8, 8)
INPUTS = {
    "the author's": SQUARE,
    "a tail": SQUARE[:, :5].contiguous(),
    "a tail below 0": SQUARE[:, :5] - 99,
    "every second row": SQUARE[::2],
    "transposed": SQUARE.T,
    "half a matrix": SQUARE[:, :4],
    "one column": SQUARE[:, :1],
}


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """`sick` as the lesson defines it."""
    wanted = [cell for cell in map(source, Lesson.read(find_lesson("04")).cells("code")) if "def sick" in cell]
    file = tmp_path_factory.mktemp("lesson") / "patient.py"
    head = "import torch\nfrom minillm.lab.little_triton import borrow_triton\ntriton, tl = borrow_triton()\n"
    file.write_text("\n\n".join([head, *wanted]), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("patient", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sick


@pytest.mark.parametrize("name", INPUTS)
def test_the_twin_writes_what_the_kernel_writes_where_it_writes_it(patient, name):
    x = INPUTS[name]
    theirs, ours = (walled(torch.zeros(x.shape), OUTSIDE) for _ in range(2))
    patient(walled(x, 1000.0), theirs)
    run_patient(walled(x, 1000.0), ours)
    assert neighbourhood(ours, 8, 200) == neighbourhood(theirs, 8, 200)
