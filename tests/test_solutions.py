"""The solutions fit their lessons: the same ids, the same signatures as the stubs, and every check turns green.

A lesson with exercises has `notebooks/solutions/lesson_NN.py`, whose dictionary SOLUTIONS maps each check's id to the
right answer: a function named and called as the lesson's stub is, or a plain value where the lesson asks for one.
"""

import ast
import importlib.util
import inspect
import textwrap

import pytest
from lesson_rules import Lesson

from minillm.kernels.runtime import mode
from minillm.lab.checks.judge import check
from minillm.lab.exercises import lesson_exercises
from minillm.lab.lessons import find_lessons

LESSONS = [pytest.param(Lesson.read(path), path, id=path.stem) for path in find_lessons()]


def solutions(lesson, path):
    """The dictionary SOLUTIONS of this lesson, from its file beside the lesson."""
    file = path.parent / "solutions" / f"lesson_{lesson.number}.py"
    assert file.exists(), f"write {file.name}, with a dictionary SOLUTIONS"
    spec = importlib.util.spec_from_file_location(f"solutions_{lesson.number}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SOLUTIONS


def stubs(lesson):
    """id -> (name, arguments) of each check whose answer is a function that the lesson defines."""
    functions = {node.name: node for tree in lesson.trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    answers = {ast.literal_eval(call.args[0]): ast.unparse(call.args[1]) for call in lesson.lab_calls("check")}
    return {name: (text, ast.unparse(functions[text].args)) for name, text in answers.items() if text in functions}


def shape_of(function):
    """The name and arguments of a solution, written as `ast` writes the stub's."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    return node.name, ast.unparse(node.args)


@pytest.mark.parametrize(("lesson", "path"), LESSONS)
def test_ids_in_lesson_solutions_and_registry_agree(lesson, path):
    in_lesson = set(lesson.lab_ids("check"))
    assert set(solutions(lesson, path)) == in_lesson
    assert {exercise.id for exercise in lesson_exercises(lesson.number)} == in_lesson


@pytest.mark.parametrize(("lesson", "path"), LESSONS)
def test_solutions_can_stand_in_for_the_stubs(lesson, path):
    answers = solutions(lesson, path)
    differ = {
        name: (stub, shape_of(answers[name])) for name, stub in stubs(lesson).items() if stub != shape_of(answers[name])
    }
    assert not differ, "as (stub, solution): " + str(differ)


@pytest.mark.parametrize(("lesson", "path"), LESSONS)
def test_every_check_turns_green(lesson, path):
    if any(exercise.interpreted for exercise in lesson_exercises(lesson.number)) and mode().name != "interpreter":
        pytest.skip(f"needs Triton's interpreter; here: {mode()}")
    verdicts = [check(name, answer) for name, answer in solutions(lesson, path).items()]
    assert verdicts and all(verdict.passed for verdict in verdicts), "\n\n".join(map(str, verdicts))
