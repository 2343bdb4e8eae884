"""`make gpu` must begin on a machine that has torch, Triton, transformers and pytest, and nothing else of what tests use."""

import ast
import shutil
import subprocess

import pytest

MISSING = {"hypothesis", "nbformat", "nbclient", "nbval", "matplotlib", "ipywidgets", "playwright", "PIL", "IPython"}
MARK = "mark." + "gpu"


def imports_at_the_top(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def reached(path, folders, seen):
    """The modules that a test file imports when it is collected, its helpers' included."""
    for name in set(imports_at_the_top(path)) - seen:
        seen.add(name)
        for helper in (folder / f"{name}.py" for folder in folders):
            if helper.exists():
                reached(helper, folders, seen)
    return seen


def test_gpu_tests_import_only_what_a_gpu_machine_has(repository):
    folders = [repository / "tests" / "support", repository / "benchmarks" / "operators"]
    files = [f for f in (repository / "tests").rglob("test_*.py") if MARK in f.read_text(encoding="utf-8")]
    assert len(files) >= 5
    found = {f.name: sorted(reached(f, folders, set()) & MISSING) for f in files}
    assert {name: lacking for name, lacking in found.items() if lacking} == {}


@pytest.mark.parametrize(
    ("text", "wanted", "left_out"), [("plain", "gpu", True), (MARK, "gpu", None), ("plain", "", None)]
)
def test_files_without_gpu_tests_are_left_out_when_only_those_are_wanted(
    pytestconfig, tmp_path, text, wanted, left_out
):
    [hook] = [p for p in pytestconfig.pluginmanager.get_plugins() if hasattr(p, "REPOSITORY")]
    file = tmp_path / "test_x.py"
    file.write_text(text)

    class Config:
        def getoption(self, name, default):
            return wanted

    assert hook.pytest_ignore_collect(file, Config()) is left_out


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("tests", "bench", "fine"), [(0, 0, True), (5, 0, True), (1, 0, False), (0, 1, False)])
def test_a_failed_test_fails_the_door_and_still_lets_the_benchmarks_run(repository, tmp_path, tests, bench, fine):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\necho "$*"\ncase "$*" in *pytest*) exit {tests};; *bench*) exit {bench};; esac\n')
    python.chmod(0o755)
    words = ["make", "gpu", f"GPU_PYTHON={python}", "BENCH_ARGS=--quick"]
    run = subprocess.run(words, cwd=repository, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) == fine
    assert "-m minillm bench --quick" in run.stdout
