"""The house stands: floors, packaging, lazy doors, cheap imports, one alphabet.

Anything about a module's imports is asked of a fresh interpreter or of its syntax tree, never of this process, which has
long imported everything.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
# Rooms on one floor may use each other: a kernel is one form of attention, and attention lists its forms.
FLOORS = [("measure",), ("kernels", "attention"), ("cache", "decoding"), ("model",), ("serving",), ("lab",)]
HEIGHT = {room: height for height, rooms_there in enumerate(FLOORS) for room in rooms_there}
TORCH_FREE = ["minillm.serving.request", "minillm.measure.cost", "minillm.measure.hardware"]
TORCH_FREE += ["minillm.serving.outputs", "minillm.serving.sampling_params"]
TORCH_FREE += [f"minillm.serving.{name}" for name in ("metrics", "workload", "simulate", "scheduler")]
TORCH_FREE += [f"minillm.serving.watching.{name}" for name in ("request_times", "summary", "instruments")]
TORCH_FREE += ["minillm.measure.step_cost"]
TORCH_FREE += [f"minillm.serving.schedule.{name}" for name in ("check", "policies")]
TORCH_FREE += [f"minillm.cache.{name}" for name in ("block_pool", "block_table", "prefix", "radix")]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def rooms():
    """Package name -> folder, from the folders themselves."""
    found = {"minillm.kernels": ROOT / "kernels"}
    for init in sorted((ROOT / "minillm").rglob("__init__.py")):
        found[".".join(init.parent.relative_to(ROOT).parts)] = init.parent
    return found


def imported_names(file, package):
    """Every module that the file imports, anywhere in it, except for type checkers only; relative names resolved.

    What a lazy door names counts as imported.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for statement in test.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and re.fullmatch(r"minillm(\.\w+)+:?", str(node.value)):
            yield node.value.rstrip(":")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def floor_of(module):
    """The height of a module's room, or None for what lies outside the floors."""
    parts = module.split(".")
    return HEIGHT.get(parts[1]) if parts[0] == "minillm" and len(parts) > 1 else None


def climbs(file, package):
    """The imports of this file that go up."""
    own = floor_of(package)
    return sorted({name for name in imported_names(file, package) if (floor_of(name) or 0) > own})


def fresh(code, **environment):
    """Run code in a new interpreter, outside the checkout, and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, **environment},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("package", [name for name in rooms() if floor_of(name) is not None])
def test_imports_go_down_only(package):
    found = {file.name: climbs(file, package) for file in sorted(rooms()[package].glob("*.py"))}
    assert {name: up for name, up in found.items() if up} == {}


def test_an_import_that_climbs_is_seen(tmp_path):
    file = tmp_path / "pool.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from minillm.lab import check\n"
        "from minillm.measure import count\nimport minillm.errors\n"
        "def f():\n    from ..serving.engine import LLM\n    from minillm import model\n"
        "names = {'check': 'minillm.lab:', 'count': 'minillm.measure'}\n"
    )
    expected = ["minillm.lab", "minillm.model", "minillm.serving.engine", "minillm.serving.engine.LLM"]
    assert climbs(file, "minillm.cache") == expected


def test_packages_listed_are_the_folders_that_exist():
    tool = project()["tool"]["setuptools"]
    assert sorted(tool["packages"]) == sorted(rooms())
    assert tool["package-dir"]["minillm.kernels"] == "kernels"


def test_data_files_in_git_are_packaged():
    patterns = project()["tool"]["setuptools"]["package-data"]
    packaged = {path for package, globs in patterns.items() for glob in globs for path in rooms()[package].glob(glob)}
    listed = subprocess.run(
        ["git", "ls-files", "minillm", "kernels"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    data = {ROOT / line for line in listed.stdout.splitlines() if not line.endswith((".py", ".gitkeep"))}
    assert {str(path) for path in data if path.exists()} <= {str(path) for path in packaged}


def test_kernels_are_ours_and_do_not_pass_for_another_package():
    assert fresh("import minillm.kernels as k; print(k.__file__)") == str(ROOT / "kernels" / "__init__.py")
    assert fresh("import importlib.util as u; s = u.find_spec('kernels'); print(s and s.origin)") != str(
        ROOT / "kernels" / "__init__.py"
    )


def test_importing_minillm_is_cheap():
    heavy = ["torch", "triton", "matplotlib", "ipywidgets", "transformers", "IPython"]
    code = f"import sys, minillm; print([name for name in {heavy} if name in sys.modules])"
    assert fresh(code) == "[]"


def test_importing_every_room_costs_less_than_two_seconds_beyond_torch():
    code = (
        "import sys, time, torch; start = time.process_time(); import minillm as ml; "
        "ml.attention, ml.LLM, ml.load_model, ml.lab; spent = time.process_time() - start; "
        "print(spent < 2, [n for n in ('triton', 'matplotlib', 'ipywidgets', 'transformers') if n in sys.modules])"
    )
    before = fresh(
        "import sys, torch; print([n for n in ('triton', 'matplotlib', 'ipywidgets', 'transformers') if n in sys.modules])"
    )
    assert fresh(code) == f"True {before}"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_module_does_without_torch(module):
    assert fresh(f"import sys, {module}; print('torch' in sys.modules)") == "False"


@pytest.mark.parametrize("package", list(rooms()))
def test_names_on_a_door_resolve(package):
    room = importlib.import_module(package)
    for name in getattr(room, "__all__", ()):
        assert getattr(room, name) is not None
        assert name in dir(room)


def test_environment_yml_follows_pyproject():
    problems = environment_drift(yaml.safe_load((ROOT / "environment.yml").read_text()), project())
    assert problems == []


def environment_drift(environment, project):
    """What the conda door asks for that pyproject does not, and what it forgot to spell out."""
    *plain, last = environment["dependencies"]
    extras = project["project"]["optional-dependencies"]
    known = {bare(entry) for entry in [*project["project"]["dependencies"], *extras["notebooks"], *extras["test"]]}
    spelled = {bare(entry) for entry in last["pip"] if not entry.startswith("-")}
    expected = {"torch", "triton", "numpy", "jupyter", "ipywidgets", "matplotlib", "nbval", "pytest"}
    problems = [f"{name} is not in pyproject.toml" for name in sorted(spelled - known)]
    problems += [f"{name} is not spelled out" for name in sorted(expected - spelled)]
    oldest = project["project"]["requires-python"].removeprefix(">=")
    problems += [] if f"python={oldest}" in plain and "pip" in plain else [f"python={oldest} and pip must be there"]
    return problems + ([] if last["pip"][-1] == "-e .[test]" else ["the project comes last"])


def bare(requirement):
    return re.match(r"[\w-]+", requirement).group().lower()


def test_environment_drift_is_seen():
    environment = {"dependencies": ["python=3.10", "pip", {"pip": ["torch", "tensorflow", "-e ."]}]}
    problems = environment_drift(environment, project())
    assert any("tensorflow" in text for text in problems) and any("numpy" in text for text in problems)
    assert any("python=3.11" in text for text in problems) and "the project comes last" in problems


def test_constraints_pin_every_dependency_to_a_minor_that_is_in_range():
    packaging = pytest.importorskip("packaging.requirements")
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {bare(line): packaging.Requirement(line) for line in lines}
    extras = project()["project"]["optional-dependencies"]
    asked = [*project()["project"]["dependencies"], *(entry for extra in extras.values() for entry in extra)]
    for requirement in (packaging.Requirement(entry) for entry in asked if bare(entry) != "minillm-workbook"):
        [pin] = pins[bare(requirement.name)].specifier
        assert pin.operator == "==" and re.fullmatch(r"\d+\.\d+\.\*", pin.version), pin
        lowest = pin.version.removesuffix(".*")
        assert requirement.specifier.contains(lowest + ".99"), f"{requirement} excludes the tested {pin}"


def test_the_alphabet_is_defined_in_the_readme_only():
    table = r"\bB\b[ |*`]+batch\b.*\bH\b[ |*`]+query heads"
    places = [*(ROOT / "minillm").rglob("*.py"), *(ROOT / "kernels").rglob("*.py"), ROOT / "README.md"]
    holders = {path.name for path in places if re.search(table, path.read_text(encoding="utf-8"), flags=re.DOTALL)}
    assert holders == {"README.md"}


def test_stored_json_is_readable():
    for path in (ROOT / "minillm").rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
