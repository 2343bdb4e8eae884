"""The dense caches pass the battery, and the battery has teeth: it rejects every wrong cache by the named checks."""

import importlib.util
from pathlib import Path

import pytest
from dense_cache_battery import CHECKS

FOLDER = Path(__file__).parents[1] / "wrong_answers" / "cache_dense"
WRONG = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name):
    spec = importlib.util.spec_from_file_location(f"wrong_dense_cache_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complaint(name):
    """What the check says, or None. Only an AssertionError or pytest's "did not raise" counts: a crash is no rejection."""
    try:
        CHECKS[name]()
    except (AssertionError, pytest.fail.Exception) as failure:
        return str(failure) or "rejected"
    return None


@pytest.mark.parametrize("name", CHECKS)
def test_the_caches_pass(name):
    CHECKS[name]()


def test_the_wrong_caches_are_all_here():
    assert len(WRONG) >= 18


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_cache_is_rejected_by_its_checks(name):
    wrong = load(name)
    with wrong.broken():
        for expected in wrong.CAUGHT_BY:
            assert complaint(expected), f"{expected} let {name} pass"


def test_every_check_rejects_something():
    assert {name for wrong in WRONG for name in load(wrong).CAUGHT_BY} == set(CHECKS)
