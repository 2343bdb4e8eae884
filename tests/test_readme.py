"""The README tells the truth: its commands and examples run, its links lead somewhere, its table lists the lessons."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minillm.lab.lessons import find_lessons

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE_BY_LESSONS = r"notebooks/(pictures/)?\d\d_\w+\.(ipynb|png)"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]


def run(command, cwd):
    quiet = {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=cwd, env={**os.environ, **quiet}, capture_output=True, text=True, check=False)


def needs_tiny(text):
    return pytest.mark.skipif(
        ("generate" in text or '"tiny"' in text) and not (ROOT / "minillm/model/bundled/tiny/config.json").exists(),
        reason="the bundled model is not there yet",
    )


def test_the_two_commands_come_first_and_exist():
    assert COMMANDS[:2] == ["make lab", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)[` ]", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"make {target} is not in the Makefile"


def test_ci_calls_the_readmes_test_command():
    assert "make test" in COMMANDS
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=needs_tiny(c), id=c) for c in COMMANDS if c.startswith("minillm ")]
)
def test_command_runs(command, tmp_path):
    done = run([sys.executable, "-P", "-m", *shlex.split(command)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or not find_lessons()


def test_the_model_continues_the_readmes_prompt(tmp_path):
    [command] = [line for line in COMMANDS if line.startswith("minillm generate")]
    prompt = shlex.split(command)[2]
    if needs_tiny(command).args[0]:
        pytest.skip("the bundled model is not there yet")
    written = run([sys.executable, "-P", "-m", *shlex.split(command)], tmp_path).stdout
    assert written.startswith(prompt) and len(written) > len(prompt) + 20


@pytest.mark.parametrize(
    "example", [pytest.param(text, marks=needs_tiny(text), id=f"example{i}") for i, text in enumerate(blocks("python"))]
)
def test_python_example_runs(example, tmp_path):
    done = run([sys.executable, "-W", "error", "-c", example], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "False" not in done.stdout.splitlines()


def test_subcommands_named_in_the_text_exist():
    from minillm import cli

    listed = cli._parser().format_help()
    for name in re.findall(r"`minillm (\w+)", README):
        assert re.search(rf"^ +{name} ", listed, flags=re.MULTILINE), f"minillm {name} does not exist"


def test_links_and_paths_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    rooms = [path for path in re.findall(r"`([\w/]+/)`", README) if path != "my_work/"]
    missing = [
        path for path in links + rooms if not (ROOT / path).exists() and not (ROOT / "notebooks" / path).exists()
    ]
    stored = {path.stem for path in find_lessons()}
    coming = [path for path in missing if re.fullmatch(MADE_BY_LESSONS, path) and Path(path).stem not in stored]
    assert missing == coming


def test_every_stored_lesson_has_its_row_and_question():
    for path in find_lessons():
        row = re.search(rf"^\|.*\[{path.stem}\]\(notebooks/{path.name}\).*$", README, flags=re.MULTILINE)
        assert row, f"{path.stem} has no row in the README's table"
        cells = [cell.strip() for cell in row.group().split("|")[1:-1]]
        assert cells[3].isdecimal() and int(cells[3]) <= 45 and cells[4] and cells[5], cells


def test_lines_for_machines_without_make_are_the_makefiles():
    makefile = (ROOT / "Makefile").read_text()
    for piece in ('pip install -c constraints.txt -e ".[test]"', "python -m minillm.lab.lessons copy"):
        assert piece in README
    assert "pip install" in makefile and "-c constraints.txt -e '.[test]'" in makefile
    assert "pytest tests notebooks --nbval --nbval-current-env" in " ".join(README.split())
    assert "pytest tests notebooks --nbval --nbval-current-env" in makefile


def test_contributing_fits_a_page_and_has_both_checklists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert "## Add a kernel" in text and "## Add a lesson" in text and text.count("- [ ]") >= 10
