"""The battery has teeth: each wrong line, planted in our own scheduler and its memory, breaks the promises it names."""

import pytest
from schedule_battery import CHECKS
from scheduler_mutants import NAMES, complaint, describe, house_with

# Defects that small engines really had, or have; random days must come upon each by themselves.
FOUND_IN_THE_WILD = [
    "blocks_freed_while_they_are_read",
    "duplicates_freed_and_kept_in_the_table",
    "found_blocks_without_a_reference",
    "full_hit_leaves_no_token",
    "hit_counted_in_blocks",
    "length_not_advanced",
    "nobody_is_preempted",
    "blocks_never_come_back",
    "one_seat_too_many",
    "one_token_too_many",
    "prompts_first",
    "too_long_for_the_pool_is_added",
    "uncut_prompt_longer_than_a_step_is_added",
]


def test_the_wrong_lines_are_all_here():
    assert len(NAMES) >= 75
    assert set(FOUND_IN_THE_WILD) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(promise, house), f"{promise} let {name} pass"


@pytest.mark.parametrize("name", FOUND_IN_THE_WILD)
def test_random_and_drawn_days_see_the_defects_of_small_engines(name):
    house = house_with(describe(name))
    assert complaint("random_days", house) and complaint("drawn_days", house)


def test_most_promises_are_broken_by_something():
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)


def test_a_house_without_a_wrong_line_keeps_every_promise():
    """What rejects the mutants is the wrong line, not the way they are loaded."""
    mutant = describe(NAMES[0])
    mutant.NEW = mutant.OLD
    house = house_with(mutant)
    complaints = {name: complaint(name, house) for name in CHECKS if name != "drawn_days"}
    assert not any(complaints.values()), complaints
