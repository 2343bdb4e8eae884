"""The patient of lesson 04 is one: the kernel on the page and its twin in the exercise fail alike, on every input."""

import importlib.util

import pytest
import torch
from lesson_rules import Lesson, source

from minillm.kernels.runtime import mode
from minillm.lab.checks.judge import judge
from minillm.lab.exercises import find_exercise
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


def test_a_verdict_names_the_line_of_the_kernel_and_not_only_its_launch(tmp_path):
    text = """
from minillm.lab.little_triton import borrow_triton
triton, tl = borrow_triton()

@triton.jit
def kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):
    tl.store(out_ptr, tl.load(x_ptr + of))

def answer(x, factor, out):
    kernel[(1,)](x, out, BLOCK=4)
    return out
"""
    (tmp_path / "slip.py").write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("slip", tmp_path / "slip.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    message = judge(find_exercise("04.scale"), module.answer).message
    assert "NameError: name 'of' is not defined" in message
    assert "of answer: kernel[(1,)]" in message and "of kernel: tl.store" in message
    assert "interpreter" not in message and "of launch" not in message
