"""What the engine and its faces promise, and that each promise is seen to be broken by the wrong lines that break it."""

import pytest
from engine_mutants import CHECKS, NAMES, complaint, describe, house_with


@pytest.mark.parametrize("name", CHECKS)
def test_promise(name):
    CHECKS[name](house_with())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(promise, house), f"{promise} let {name} pass"


def test_the_wrong_lines_are_all_here_and_break_every_promise():
    assert len(NAMES) >= 65
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert broken <= set(CHECKS)
    assert len(broken) >= len(CHECKS) - 2, sorted(set(CHECKS) - broken)
