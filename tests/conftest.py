"""What every test runs under: the lessons' environment, repeatable random examples, and skips that say why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minillm.lab.lessons import LESSON_ENVIRONMENT

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """With `--nbval` the whole run is the CPU's: stored outputs were made with the GPU hidden."""
    if config.getoption("nbval", False):
        os.environ.update(LESSON_ENVIRONMENT)
    try:
        from hypothesis import settings
    except ImportError:  # a GPU machine may lack it
        return
    settings.register_profile("repeatable", derandomize=True, deadline=None)
    settings.load_profile("repeatable")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu`, leave out files without a GPU test: a GPU machine may lack what they import."""
    if config.getoption("markexpr", "") != "gpu" or not collection_path.match("test_*.py"):
        return None
    return "mark.gpu" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is no GPU, asking torch only when there are such tests."""
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_items:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_items:
            item.add_marker(pytest.mark.skip(reason="needs a GPU that torch can see; run `make gpu` on one"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY
