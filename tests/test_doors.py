"""The doors open: make's targets on old and broken Pythons, CI's script, and the `minillm` command."""

import io
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import minillm as ml
from minillm import cli
from minillm.errors import InvalidValue

ROOT = Path(__file__).resolve().parents[1]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments, **environment):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def fake_python(folder, name, body):
    """An executable that stands in for a Python."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def venv_of(tmp_path, body):
    """A `.venv` whose Python is a stand-in."""
    (tmp_path / "venv").mkdir()
    return fake_python(tmp_path / "venv" / "bin", "python", body).parents[1]


@needs_make
def test_make_alone_lists_the_doors():
    listed = make().stdout
    assert all(f"make {door} " in listed for door in ("lab", "test", "lessons", "bench", "gpu"))


@needs_make
def test_a_set_up_environment_is_not_set_up_again():
    planned = make("-n", "-o", f"{sys.prefix}/.installed", "test", f"VENV={sys.prefix}").stdout
    assert "pytest tests notebooks --nbval --nbval-current-env" in planned
    assert "pip install" not in planned


@needs_make
def test_a_change_of_pins_sets_the_environment_up_again(tmp_path):
    (tmp_path / ".installed").touch()
    os.utime(tmp_path / ".installed", (0, 0))
    assert "pip install" in make("-n", "test", f"VENV={tmp_path}").stdout


@needs_make
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'Python 3.9 is too old'", "Python 3.9 is too old"),
        ("echo 'Python 3.12 has no venv module'", "Python 3.12 has no venv module"),
        ("echo 'pyenv: command not found' >&2; exit 127", "does not run (pyenv: command not found)"),
    ],
)
def test_an_unfit_python_is_named_with_the_reason_and_the_remedy(tmp_path, body, reason):
    python = fake_python(tmp_path, "python3", body)
    run = make("test", f"VENV={tmp_path}/new", f"PYTHON={python}")
    assert run.returncode != 0
    assert f"{python}: {reason}" in run.stderr
    assert "make PYTHON=" in run.stderr
    assert not (tmp_path / "new").exists()


@needs_make
def test_a_missing_python_is_named(tmp_path):
    assert "nowhere/python3: not found" in make("test", f"VENV={tmp_path}/new", "PYTHON=nowhere/python3").stderr


def test_the_probe_tells_this_python_is_fit_and_an_old_one_is_not():
    makefile = (ROOT / "Makefile").read_text()
    probe = makefile.split("define PROBE\n")[1].split("endef")[0]
    old = "import sys; sys.version_info = (3, 10, 4)\n" + probe
    bare = "import sys; sys.modules['ensurepip'] = None\n" + probe
    answers = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        for code in (probe, old, bare)
    ]
    assert answers[0] == ""
    assert answers[1] == "Python 3.10 is too old\n"
    assert "has no venv module" in answers[2]


@needs_make
def test_a_broken_environment_is_told_apart_from_a_missing_one(tmp_path):
    run = make("test", f"VENV={venv_of(tmp_path, 'exit 1')}")
    assert run.returncode != 0 and "no longer works" in run.stderr and "Delete the folder" in run.stderr


@needs_make
def test_an_old_pip_is_told(tmp_path):
    venv = venv_of(tmp_path, 'case "$2" in "import pip"*) exit 1;; esac')
    run = make("test", f"VENV={venv}")
    assert run.returncode != 0 and "older than 22" in run.stderr


@needs_make
def test_a_failed_install_fails_and_leaves_no_stamp(tmp_path):
    venv = venv_of(tmp_path, 'case "$*" in *"pip install"*) echo "no such package" >&2; exit 1;; esac')
    run = make("test", f"VENV={venv}")
    assert run.returncode != 0 and "no such package" in run.stderr and "could not install" in run.stderr
    assert not (venv / ".installed").exists()


@needs_make
def test_setting_up_shows_one_line_a_phase(tmp_path):
    pip = "echo 'Collecting torch'; echo 'Downloading https://x/torch-2.13.0.whl (1 MB)'; echo 'Installing collected packages: a, b'"
    venv = venv_of(tmp_path, f'case "$*" in *"pip install"*) {pip};; esac')
    run = make(f"{venv}/.installed", f"VENV={venv}")
    assert [line.strip() for line in run.stdout.splitlines()] == [
        "[2/3] installing packages (torch is the big one: minutes the first time, seconds after a change)",
        "torch-2.13.0.whl",
        "installing 2 packages",
        "[3/3] checking that the pieces fit",
    ]
    assert (venv / ".installed").exists()


def test_ci_runs_the_tests_the_linter_the_formatter_and_the_type_checker():
    script = (ROOT / ".ci" / "run").read_text()
    lines = [line.strip() for line in script.splitlines()]
    assert lines[0].startswith("#!") and "set -eu" in lines
    for command in ("make test", ".venv/bin/ruff check .", ".venv/bin/ruff format --check .", ".venv/bin/mypy"):
        assert command in lines
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-P", "-m", "minillm", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_help_is_instant_and_names_every_command():
    start = time.process_time()
    run = command("--help")
    assert run.returncode == 0
    assert all(f"    {name} " in run.stdout for name in ("doctor", "generate", "lesson", "grade", "bench"))
    loaded = "import sys; from minillm import cli; cli._parser(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"
    assert time.process_time() - start < 1


def test_a_refusal_is_one_line_and_status_2():
    run = command("lesson", "77")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("minillm: a lesson is named by its number; got '77'")
    assert run.stderr.count("\n") == 1


def test_an_unknown_benchmark_is_refused():
    run = command("bench", "engines")
    assert run.returncode == 2 and "engines" in run.stderr


@pytest.mark.parametrize(("statuses", "want"), [([0, 0], 0), ([0, -9], 1), ([3, 0], 1)])
def test_one_benchmark_that_fails_fails_the_command_however_it_ended(monkeypatch, statuses, want):
    left = iter(statuses)
    monkeypatch.setattr(cli.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=next(left)))
    assert cli.main(["bench", "engine", "operators"]) == want


class FakeLLM:
    """Streams what it was asked, so that the command's plumbing shows."""

    def __init__(self, model):
        self.model = model

    def stream(self, prompt, params):
        if params.max_tokens == 0:
            raise InvalidValue("max_tokens must be at least 1; got 0; ask for one.")
        if params.max_tokens == 1:
            raise KeyboardInterrupt
        yield from (SimpleNamespace(text=text) for text in (" one", " two"))


@pytest.fixture
def fake_llm(monkeypatch):
    asked = []
    monkeypatch.setattr(ml, "LLM", FakeLLM, raising=False)
    monkeypatch.setattr(ml, "SamplingParams", lambda **o: asked.append(o) or SimpleNamespace(**o), raising=False)
    return asked


def test_generate_streams_the_prompt_and_its_continuation(fake_llm, capsys):
    options = ["--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--seed", "7", "--stop", "a", "--stop", "b"]
    assert cli.main(["generate", "zero", "--max-tokens", "9", *options]) == 0
    assert capsys.readouterr().out == "zero one two\n"
    assert fake_llm == [dict(max_tokens=9, temperature=0.5, top_k=3, top_p=0.9, seed=7, stop=["a", "b"])]


def test_generate_says_a_refusal_before_any_text(fake_llm, capsys):
    assert cli.main(["generate", "zero", "--max-tokens", "0"]) == 2
    assert capsys.readouterr() == ("", "minillm: max_tokens must be at least 1; got 0; ask for one.\n")


def test_ctrl_c_is_clean(fake_llm, capsys):
    assert cli.main(["generate", "zero", "--max-tokens", "1"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    endless = (
        "import sys; from pathlib import Path; from minillm import cli; from minillm.lab import lessons; "
        "lessons.find_lessons = lambda: [Path('lesson')] * 100_000; sys.exit(cli.main(['lesson']))"
    )
    pipeline = f'{shlex.quote(sys.executable)} -c "{endless}" | true; echo ${{PIPESTATUS[0]}}'
    run = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("0\n", "")


def test_grade_tells_a_pass_from_a_failure_and_speaks_json(monkeypatch, capsys):
    from minillm.lab.grading import grade

    report = SimpleNamespace(passed=False, to_json=lambda: {"exercises": []})
    calls = []
    monkeypatch.setattr(grade, "grade_notebook", lambda path, **options: calls.append((path.name, options)) or report)
    assert cli.main(["grade", "x.ipynb", "--json", "--timeout", "5", "--memory", "100"]) == 1
    assert capsys.readouterr().out == '{\n  "exercises": []\n}\n'
    assert calls == [("x.ipynb", {"timeout_s": 5.0, "memory_mb": 100})]


def test_a_console_without_the_character_gets_a_mark(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr("minillm.lab.lessons.find_lessons", lambda: [Path("caf\u00e9.ipynb")])
    assert cli.main(["lesson"]) == 0
    assert console.buffer.getvalue() == b"caf?\n"
