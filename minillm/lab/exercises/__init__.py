"""The exercises, one file a lesson: `lesson_01.py` holds every exercise whose id begins with "01.".

How to add one. In `lesson_NN.py`, build an `Exercise` and list it in the module's tuple `EXERCISES`:

    from minillm.lab.checks.cases import Answer, Budget, Contract, Numbers, Property, Values, given, same
    from minillm.lab.checks.exercise import Exercise
    from minillm.lab.checks import inputs

    SCORE_BYTES = Exercise(
        id="01.score_bytes",
        title="How large is the score table?",
        statement="Return the bytes of the scores of one attention call.",
        signature="score_bytes(batch, heads, length, element_bytes=4)",
        layers={"values": (Numbers("one head", (1, 1, 1024), want=4 * 2**20, unit="bytes"),)},
        hints=("the idea …", "the invariant …", "the skeleton …"),
        solution="minillm/measure/attention_cost.py: score_bytes",
    )
    EXERCISES = (SCORE_BYTES,)

The lesson then has a stub and a check, each in a cell of its own:

    def score_bytes(batch, heads, length, element_bytes=4):
        raise NotImplementedError  # your turn

    ml.lab.check("01.score_bytes", score_bytes)

The one convention for stubs: the body is `raise NotImplementedError`. It prints a single "not attempted" line and never
raises out of `check`, so Run All completes (a body of `...` counts too).

The kinds of case, each with a name that says what is special about it:

- `Contract(name, make, oracle)`: type, shape, dtype, device, inputs left alone. `make()` returns `given(q, k, causal=True)`,
  written as the call would be; `oracle` gets the same inputs in float64.
- `Values(name, make, oracle, meaning)`: the same, and the numbers. `meaning` is one sentence for the learner.
- `Numbers(name, args, want, unit)`: a formula. `Answer(name, want, explain={tempting: why not})`: a plain value, for
  questions and bug clinics, in an exercise whose signature is "".
- `Property(name, law, meaning)`: `law(call)` calls the answer as it likes and returns `same(got, want)` or a bool.
- `Budget(name, make, {"peak_bytes": …, "largest_tensor_bytes": …}, meaning)`: what a call may use, by the counters of
  `ml.count()`. Inputs are not counted as live, so a bound speaks of what the answer itself allocates.

`inputs.py` makes awkward inputs and whole sets of attention cases. `forbid=("softmax",)` rejects an answer that calls a
torch operation with that stem in its name; the layer is then "contract".

A class is judged by laws: give its constructor as the signature, and let each `Property` build one with `call(...)`
and drive it.

Every exercise needs `tests/wrong_answers/exercises/<id>/`: at least four `wrong_<name>.py`, each with `LAYER = "values"`
(the layer that must reject it) and the answer under the name `answer`, and at least two different `right_<name>.py`. A
test runs them all; it fails when a wrong answer passes, or is caught by another layer than the one it names.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from minillm.errors import unknown_name

if TYPE_CHECKING:
    from minillm.lab.checks.exercise import Exercise


def lessons() -> list[str]:
    """The lesson numbers that have exercises, in order: ["01", …]."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.removeprefix("lesson_") for name in names if name.startswith("lesson_"))


def lesson_exercises(lesson: str) -> list[Exercise]:
    """The exercises of one lesson, by its two digits; empty for a lesson that has none."""
    if lesson not in lessons():
        return []
    return list(importlib.import_module(f"{__name__}.lesson_{lesson}").EXERCISES)


def all_exercises() -> list[Exercise]:
    """Every exercise of every lesson, in order."""
    return [exercise for lesson in lessons() for exercise in lesson_exercises(lesson)]


def find_exercise(exercise_id: str) -> Exercise:
    """The exercise with this id; raises InvalidValue with the nearest name for an unknown one."""
    for exercise in lesson_exercises(str(exercise_id).split(".", 1)[0]):
        if exercise.id == exercise_id:
            return exercise
    raise unknown_name("exercise", exercise_id, [exercise.id for exercise in all_exercises()])
