"""Simulated days: each promise by a day worked out by hand, every wrong line seen, and the engine's own decisions."""

import pytest
from simulator_battery import CHECKS
from simulator_mutants import NAMES, complaint, describe, house_with


@pytest.mark.parametrize("name", CHECKS)
def test_promise(name):
    CHECKS[name](house_with())


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for wanted in mutant.CAUGHT_BY:
        assert complaint(wanted, house), f"{wanted} let {name} pass"


def test_most_promises_are_broken_by_something():
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert len(NAMES) >= 14 and len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)


def test_a_house_without_a_wrong_line_keeps_every_promise():
    """What rejects the mutants is the wrong line, not the way they are loaded."""
    assert all(complaint(name, house_with()) is None for name in CHECKS)
