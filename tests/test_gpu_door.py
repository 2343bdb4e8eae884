"""`make gpu` must begin on a machine that has torch, Triton, transformers and pytest, and nothing else of what tests use."""

import ast

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
