"""Every stored lesson keeps the rules of its form, and every rule catches a lesson that breaks it."""

import copy

import lesson_rules
import pytest
from lesson_rules import HEADINGS, RULES, Lesson

from minillm.lab.lessons import clean, find_lessons, picture_of


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("rule_"))
@pytest.mark.parametrize("path", find_lessons(), ids=lambda path: path.stem)
def test_lesson_keeps(path, rule):
    problems = rule(Lesson.read(path))
    assert not problems, f"{path.stem}:\n  " + "\n  ".join(problems)


@pytest.mark.parametrize("path", find_lessons(), ids=lambda path: path.stem)
def test_the_picture_kept_for_the_readme_is_the_lessons(path):
    kept = path.parent / "pictures" / f"{path.stem}.png"
    assert kept.exists() and kept.read_bytes() == picture_of(Lesson.read(path).notebook), "run `make lessons`"


def markdown(text):
    return {"cell_type": "markdown", "id": "x", "metadata": {}, "source": text}


def code(text, output="ok", tags=(), **data):
    shown = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": output, **data}}
    return {
        "cell_type": "code",
        "id": "x",
        "execution_count": 1,
        "metadata": {"tags": list(tags)} if tags else {},
        "source": text,
        "outputs": [shown],
    }


def good_lesson():
    """The smallest lesson that keeps every rule."""
    beats = {heading: [code(f"print({number})")] for number, heading in enumerate(HEADINGS)}
    beats["Predict"] = [code('ml.lab.predict("07.bytes", None, unit="bytes")')]
    beats["Measure it"] = [code('ml.lab.score("07.bytes", 12)'), code("print(1.5)", tags=["nbval-ignore-output"])]
    beats["See it"] = [code("figure", **{"image/png": "iVBOR"})]
    beats["Your turn"] = [
        code('ml.lab.check("07.first", first)', "07.first not attempted"),
        markdown("### Bug clinic"),
        code('ml.lab.check("07.clinic", clinic)', "07.clinic not attempted"),
        code("print('recap')"),
    ]
    cells = [markdown("# A lesson")]
    for heading, inside in beats.items():
        cells += [markdown(f"## {heading}\n\nWords."), *inside]
    for count, cell in enumerate((cell for cell in cells if cell["cell_type"] == "code"), start=1):
        cell["execution_count"] = count
    return clean({"cells": cells, "metadata": {}})


def nth_code(notebook, index):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][index]


def show(notebook, index, **data):
    nth_code(notebook, index)["outputs"][0]["data"].update(data)


def write(notebook, index, text):
    nth_code(notebook, index)["source"] = text


def swap(notebook, old, new):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace(old, new)


def error(notebook):
    nth_code(notebook, 0)["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "no", "traceback": []}]


def warning(notebook):
    nth_code(notebook, 0)["outputs"] = [{"output_type": "stream", "name": "stderr", "text": "careful"}]


def pad(notebook):
    for index in range(10):
        write(notebook, index, "a = 1\n" * 6)


BREAKAGES = [
    ("has_a_title", lambda n: n["cells"].pop(0)),
    ("has_the_nine_beats", lambda n: swap(n, "## Verify", "## Verification")),
    ("has_the_nine_beats", lambda n: n["cells"].append(markdown("## Appendix"))),
    ("cells_are_sentences", lambda n: write(n, 0, "a = 1\n" * 16)),
    ("cells_are_sentences", pad),
    ("is_executed_in_order", lambda n: nth_code(n, 3).update(execution_count=None)),
    ("is_executed_in_order", lambda n: nth_code(n, 3).update(execution_count=9)),
    ("is_not_stale", lambda n: write(n, 0, "print(100)")),
    ("is_not_stale", lambda n: n["cells"][0].update(source="# Another title")),
    ("is_not_stale", lambda n: nth_code(n, 0)["metadata"].update(tags=["raises-exception"])),
    ("is_light_and_stateless", lambda n: show(n, 0, **{"image/svg+xml": "<svg/>"})),
    ("is_light_and_stateless", lambda n: n["metadata"].update(widgets={})),
    ("is_light_and_stateless", lambda n: show(n, 0, **{"application/vnd.jupyter.widget-view+json": {}})),
    ("says_only_what_can_be_compared", lambda n: write(n, 0, "figure;")),
    ("says_only_what_can_be_compared", lambda n: write(n, 0, "with widgets.Output(): pass")),
    ("says_only_what_can_be_compared", lambda n: write(n, 0, "%typo\nraise")),
    ("says_only_what_can_be_compared", lambda n: write(n, 0, "!false")),
    ("says_only_what_can_be_compared", lambda n: show(n, 0, **{"text/plain": "<object at 0x7f3a2c1b>"})),
    ("says_only_what_can_be_compared", warning),
    ("tags_are_known_and_errors_tagged", lambda n: nth_code(n, 0)["metadata"].update(tags=["nbval-skip"])),
    ("tags_are_known_and_errors_tagged", error),
    (
        "ignored_cells_have_a_compared_twin",
        lambda n: nth_code(n, 9).update(outputs=[]) or nth_code(n, 7).update(outputs=[]),
    ),
    ("enough_is_compared", lambda n: [nth_code(n, i).update(outputs=[]) for i in range(6)]),
    ("predicts_and_scores", lambda n: swap(n, "lab.score", "print")),
    ("predicts_and_scores", lambda n: swap(n, 'lab.score("07.bytes', 'lab.score("07.flops')),
    ("has_exercises_and_a_clinic", lambda n: swap(n, "Bug clinic", "More")),
    ("has_exercises_and_a_clinic", lambda n: swap(n, "07.first", "06.first")),
    ("has_exercises_and_a_clinic", lambda n: swap(n, "07.first", "07.clinic")),
    ("is_unsolved", lambda n: show(n, -3, **{"text/plain": "07.first passed"})),
    ("names_no_machine", lambda n: show(n, 0, **{"text/plain": "loaded from /home/ada/minillm"})),
    ("names_no_machine", lambda n: n["cells"].append(markdown("see C:\\\\Users"))),
    ("imports_little", lambda n: write(n, 0, "import os, pandas.io")),
    ("imports_little", lambda n: write(n, 0, "from transformers import pipeline")),
    ("pictures_are_computed", lambda n: n["cells"].append(markdown("![pool](images/pool.png)"))),
    ("pictures_are_computed", lambda n: nth_code(n, 6).update(outputs=[])),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("rule_"))
def test_a_good_lesson_keeps(rule):
    assert rule(Lesson("07_example", good_lesson())) == []


@pytest.mark.parametrize(("name", "breaks"), BREAKAGES, ids=[f"{i}-{name}" for i, (name, _) in enumerate(BREAKAGES)])
def test_a_broken_lesson_is_caught_by(name, breaks):
    notebook = copy.deepcopy(good_lesson())
    breaks(notebook)
    assert getattr(lesson_rules, f"rule_{name}")(Lesson("07_example", notebook))


def test_every_rule_is_shown_to_catch_something():
    assert {f"rule_{name}" for name, _ in BREAKAGES} == {rule.__name__ for rule in RULES}


def test_an_overweight_lesson_is_caught():
    assert lesson_rules.rule_is_light_and_stateless(Lesson("07_example", good_lesson(), size=300_001))
