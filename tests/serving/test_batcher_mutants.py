"""The batteries have teeth: each wrong line, planted in our own dynamic batcher, breaks the promises it names."""

import batcher_thread_battery
import pytest
from batcher_battery import CHECKS as CORE
from batcher_mutants import CHECKS, NAMES, complaint, describe, house_with

# Faults that small batchers really had, and those that their users would notice last.
FOUND_IN_THE_WILD = [
    "delay_from_when_it_was_asked",
    "lost_wake_up",
    "stranded_request",
    "priority_inversion",
    "resolved_twice",
    "padded_past_what_fits",
    "overflow_accepted",
    "order_not_preserved",
    "timeout_from_batch_formation",
    "thread_dies_of_the_model",
]


def test_the_wrong_lines_are_all_here():
    assert len(NAMES) >= 45
    assert set(FOUND_IN_THE_WILD) <= set(NAMES)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name, monkeypatch):
    monkeypatch.setattr(batcher_thread_battery, "MOMENT", 0.3)  # what hangs need not be waited for
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(promise, house), f"{promise} let {name} pass"


def test_most_promises_are_broken_by_something():
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)


def test_modules_without_a_wrong_line_keep_every_promise():
    """What rejects the mutants is the wrong line, not the way they are loaded."""
    mutant = describe(NAMES[0])
    mutant.NEW = mutant.OLD
    house = house_with(mutant)
    assert {name: complaint(name, house) for name in CORE} == dict.fromkeys(CORE)
