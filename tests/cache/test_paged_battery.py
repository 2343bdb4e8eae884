"""The paged cache and its attention pass the battery, and the battery has teeth: it rejects every planted fault by name."""

import pytest
from paged_cache_battery import CHECKS
from paged_house import NAMES, describe, house_with

from minillm.errors import MinillmError


def complaint(name, house):
    """What a check says about a house, or None. A crash that is no error of ours is not a rejection."""
    try:
        CHECKS[name](house)
    except (AssertionError, MinillmError) as failure:
        return str(failure) or "rejected"
    return None


@pytest.fixture(scope="module")
def ours():
    return house_with()


@pytest.mark.parametrize("name", CHECKS)
def test_ours_passes(name, ours):
    CHECKS[name](ours)


def test_the_planted_faults_are_all_here():
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_every_planted_fault_is_rejected_by_its_checks(name):
    mutant = describe(name)
    house = house_with(mutant)
    for expected in mutant.CAUGHT_BY:
        assert complaint(expected, house), f"{expected} let {name} pass"


def test_most_checks_reject_something():
    broken = {check for name in NAMES for check in describe(name).CAUGHT_BY}
    assert len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)
