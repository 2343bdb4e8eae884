"""Lessons as files: copies never overwrite, running and cleaning is repeatable, an edit makes a stored lesson stale."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from minillm.errors import FileProblem, InvalidValue
from minillm.lab import lessons


@pytest.fixture
def stored(tmp_path):
    """A folder with two lessons, one helper that is not a lesson, and stored outputs."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("00_start_here.ipynb", "01_attention.ipynb", "scratch.ipynb"):
        cell = nbformat.v4.new_code_cell("print('stored')", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="stored\n")]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / name)
    return folder


def lesson_file(tmp_path, *cells):
    path = tmp_path / "01_try.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells]), path)
    return path


def test_lessons_are_found_in_order_and_by_any_spelling_of_their_number(stored):
    assert [path.stem for path in lessons.find_lessons(stored)] == ["00_start_here", "01_attention"]
    for spelling in (1, "1", "01", "01_attention", "01_attention.ipynb"):
        assert lessons.find_lesson(spelling, stored).stem == "01_attention"


@pytest.mark.parametrize("number", ["2", "attention", "", "-1"])
def test_a_lesson_that_is_not_there_is_refused_with_the_list(stored, number):
    with pytest.raises(InvalidValue, match="known: 00_start_here, 01_attention"):
        lessons.find_lesson(number, stored)


def test_copies_are_made_once_and_never_overwritten(stored, tmp_path):
    work = tmp_path / "my_work"
    assert [path.name for path in lessons.copy_lessons(work, stored)] == ["00_start_here.ipynb", "01_attention.ipynb"]
    (work / "01_attention.ipynb").write_text("my answers")
    (work / "00_start_here.ipynb").unlink()
    assert [path.name for path in lessons.copy_lessons(work, stored)] == ["00_start_here.ipynb"]
    assert (work / "01_attention.ipynb").read_text() == "my answers"


def test_a_fresh_copy_takes_the_next_free_name(stored, tmp_path):
    work = tmp_path / "my_work"
    names = [lessons.fresh_copy(1, work, stored).name for _ in range(3)]
    assert names == ["01_attention.ipynb", "01_attention_2.ipynb", "01_attention_3.ipynb"]


def test_a_copy_hides_the_outputs_and_is_a_valid_notebook(stored, tmp_path):
    [copy, _] = lessons.copy_lessons(tmp_path / "my_work", stored)
    [cell] = nbformat.read(copy, as_version=4).cells
    assert (cell.source, cell.outputs, cell.execution_count) == ("print('stored')", [], None)
    nbformat.validate(nbformat.read(copy, as_version=4))


def test_no_checkout_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(lessons, "__file__", str(tmp_path / "site" / "minillm" / "lab" / "lessons.py"))
    with pytest.raises(FileProblem, match="clone the repository"):
        lessons.find_lessons()


def test_running_and_cleaning_twice_gives_the_same_bytes_with_sources_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    report = "import os\nprint(*(os.environ[name] for name in ('CUDA_VISIBLE_DEVICES', 'MINILLM_LEDGER')), sep='|')"
    path = lesson_file(tmp_path, report, "{3, 1}", "print('one')\nprint('two')")
    lessons.execute_and_clean(path)
    first = path.read_bytes()
    lessons.execute_and_clean(path)
    assert path.read_bytes() == first
    cells = json.loads(first)["cells"]
    assert "".join(cells[0]["source"]) == report
    assert cells[0]["outputs"][0]["text"] == ["|off\n"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3]
    assert len(cells[2]["outputs"]) == 1
    assert not list(tmp_path.glob("*.draft"))


def test_a_lesson_that_fails_is_left_as_it_was(tmp_path):
    path = lesson_file(tmp_path, "print(1)", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        lessons.execute_and_clean(path)
    assert path.read_bytes() == before


def messy_notebook():
    """What an editor leaves behind: widget state, timings, a random id, views of live widgets, split streams."""
    stream = {"output_type": "stream", "name": "stdout"}
    view = {"text/plain": "a slider", "image/png": "iVBOR", lessons.WIDGET_VIEW: {"model_id": "91ad"}}
    error = {"output_type": "error", "ename": "E", "evalue": "no", "traceback": [f"File {lessons.__file__}:3"]}
    shown = {"output_type": "display_data", "metadata": {}, "data": view}
    cell = {
        "cell_type": "code",
        "id": "d3adb33f",
        "execution_count": 4,
        "metadata": {"execution": {"iopub.execute_input": "now"}, "collapsed": False, "tags": ["raises-exception"]},
        "source": ["a\n", "b"],
        "outputs": [{**stream, "text": ["1"]}, {**stream, "text": "2\n"}, shown, error],
    }
    return {"cells": [cell], "metadata": {"widgets": {}, "language_info": {"version": "3.11.7"}}, "nbformat": 4}


def test_cleaning_keeps_outputs_and_counts_and_drops_what_changes_by_itself():
    cleaned = lessons.clean(messy_notebook())
    [cell] = cleaned["cells"]
    assert (cell["id"], cell["execution_count"], cell["metadata"]) == ("cell-00", 4, {"tags": ["raises-exception"]})
    assert cell["outputs"][0]["text"] == ["12\n"]
    assert cell["outputs"][1]["data"] == {"text/plain": "a slider", "image/png": "iVBOR"}
    assert cell["outputs"][2]["traceback"] == ["File minillm/lab/lessons.py:3"]
    assert "widgets" not in cleaned["metadata"] and "version" not in cleaned["metadata"]["language_info"]
    assert lessons.clean(cleaned) == cleaned


def test_the_picture_is_the_first_figure_under_see_it():
    shown = [{"output_type": "display_data", "metadata": {}, "data": {"image/png": text}} for text in ("YQ==", "Yg==")]
    cells = [
        {"cell_type": "code", "source": "", "metadata": {}, "outputs": shown[:1]},
        {"cell_type": "markdown", "source": "## See it", "metadata": {}},
        {"cell_type": "markdown", "source": "### Closer", "metadata": {}},
        {"cell_type": "code", "source": "", "metadata": {}, "outputs": shown[1:]},
        {"cell_type": "markdown", "source": "## Measure it", "metadata": {}},
    ]
    assert lessons.picture_of({"cells": cells}) == b"b"
    assert lessons.picture_of({"cells": cells[:3] + cells[4:] + cells[:1]}) is None


def test_the_stamp_follows_sources_kinds_and_tags_but_not_outputs():
    original = messy_notebook()
    stamp = lessons.source_hash(original)
    joined = messy_notebook()
    joined["cells"][0].update(source="a\nb", outputs=[], execution_count=None)
    assert lessons.source_hash(joined) == stamp
    for change in ({"source": "a\nc"}, {"cell_type": "markdown"}, {"metadata": {"tags": []}}):
        edited = messy_notebook()
        edited["cells"][0].update(change)
        assert lessons.source_hash(edited) != stamp


def test_the_command_copies_and_refreshes(stored, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lessons, "checkout", lambda: tmp_path)
    lessons.main(["copy"])
    lessons.main(["copy"])
    assert capsys.readouterr().out.splitlines() == [
        "my_work/: 2 new lessons, 0 already there and left alone",
        "my_work/: 0 new lessons, 2 already there and left alone",
    ]
    shutil.rmtree(tmp_path / "my_work")
    lessons.main(["refresh", str(stored / "01_attention.ipynb")])
    assert "01_attention … " in capsys.readouterr().out
    assert "minillm" in json.loads((stored / "01_attention.ipynb").read_text())["metadata"]


def test_nbval_accepts_a_refreshed_cell_with_the_gpu_hidden_and_catches_a_changed_output(tmp_path):
    path = lesson_file(tmp_path, "import os; print(os.environ['CUDA_VISIBLE_DEVICES'] or 'hidden')", "1 + 1")
    lessons.execute_and_clean(path)
    path.write_text(path.read_text().replace('"2"', '"3"'))
    tests = Path(__file__).parent
    nbval = ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-c", "/dev/null", f"--confcutdir={tests}"]
    run = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", *nbval, tests / "conftest.py", path],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in run.stdout, run.stdout
    assert "FAILED" in run.stdout and "Cell 1" in run.stdout.split("short test summary")[1]
