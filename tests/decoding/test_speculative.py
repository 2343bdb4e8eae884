"""Speculation's rules keep their promises, and the promises have teeth."""

import pytest
from speculative_battery import CHECKS
from speculative_mutants import broken_module, complaint, describe, names

from minillm.decoding import speculative


@pytest.mark.parametrize("promise", CHECKS)
def test_speculation_keeps_its_promises(promise):
    CHECKS[promise](speculative)


@pytest.mark.parametrize("name", names("speculative"))
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe("speculative", name)
    module = broken_module(mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(CHECKS[promise], module), f"{promise} let {name} pass"


def test_the_wrong_lines_are_all_here_and_every_promise_is_broken_by_one():
    assert len(names("speculative")) >= 23
    broken = {promise for name in names("speculative") for promise in describe("speculative", name).CAUGHT_BY}
    unbroken = {"a_draft_is_kept_as_often_as_p_and_q_overlap", "equal_models_keep_every_draft"}
    assert set(CHECKS) - broken <= unbroken | {"an_index_that_grew_proposes_as_a_new_one", "look_up_refuses_odd_sizes"}
