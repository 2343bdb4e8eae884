"""Choosing tokens for many rows keeps its promises, and the promises have teeth."""

import pytest
from decoding_mutants import complaint, describe, house_with, names
from sampling_battery import CHECKS

from minillm import decoding


@pytest.mark.parametrize("promise", CHECKS)
def test_choosing_keeps_its_promises(promise):
    CHECKS[promise](decoding)


@pytest.mark.parametrize("name", names("sampling"))
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe("sampling", name)
    house = house_with("sampling", mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(CHECKS[promise], house), f"{promise} let {name} pass"


def test_a_house_without_a_wrong_line_keeps_every_promise():
    house = house_with("sampling")
    assert {name: complaint(check, house) for name, check in CHECKS.items()} == dict.fromkeys(CHECKS)


def test_the_wrong_lines_are_all_here_and_break_every_promise():
    assert len(names("sampling")) >= 25
    broken = {promise for name in names("sampling") for promise in describe("sampling", name).CAUGHT_BY}
    assert set(CHECKS) == broken
