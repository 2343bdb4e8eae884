"""The battery has teeth: each wrong line, planted in our own cache manager, breaks the promises it names."""

import pytest
from pool_battery import CHECKS
from pool_mutants import NAMES, complaint, describe, house_with

# Defects that small engines really had; hypothesis must come upon each by itself.
FOUND_IN_THE_WILD = [
    "lent_without_a_reference",
    "free_at_the_first_who_leaves",
    "table_forked_without_references",
    "cut_text_keeps_its_blocks",
    "kept_blocks_freed_as_plain",
    "double_free_accepted",
]


def test_the_wrong_lines_are_all_here():
    assert len(NAMES) >= 36
    assert set(FOUND_IN_THE_WILD) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(promise, house), f"{promise} let {name} pass"


@pytest.mark.parametrize("name", FOUND_IN_THE_WILD)
def test_drawn_lives_see_the_defects_of_small_engines(name):
    house = house_with(describe(name))
    assert complaint("drawn_lives_with_a_hash_chain", house) and complaint("drawn_lives_with_a_tree", house)


def test_most_promises_are_broken_by_something():
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert {"random_lives_with_a_hash_chain", "random_lives_with_a_tree"} <= broken
    assert len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)


def test_a_house_without_a_wrong_line_keeps_every_promise(tmp_path):
    """What rejects the mutants is the wrong line, not the way they are loaded."""
    mutant = describe(NAMES[0])
    mutant.NEW = mutant.OLD
    house = house_with(mutant)
    assert {name: complaint(name, house) for name in CHECKS if "lives" not in name} == {
        name: None for name in CHECKS if "lives" not in name
    }
