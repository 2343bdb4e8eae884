"""Beam search, alone and over a paged cache, keeps its promises, and the promises have teeth."""

import pytest
import torch
from beam_battery import CHECKS
from decoding_mutants import complaint, describe, house_with, names

from minillm.decoding.beam import BeamRules, best_continuations
from minillm.decoding.sampling import UnusableScores


@pytest.mark.parametrize("promise", CHECKS)
def test_beams_keep_their_promises(promise):
    CHECKS[promise](house_with("beams"))


@pytest.mark.parametrize("name", names("beams"))
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe("beams", name)
    house = house_with("beams", mutant)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(CHECKS[promise], house), f"{promise} let {name} pass"


def test_the_wrong_lines_are_all_here_and_break_every_promise():
    assert len(names("beams")) >= 20
    broken = {promise for name in names("beams") for promise in describe("beams", name).CAUGHT_BY}
    assert set(CHECKS) == broken


def test_scores_that_mean_nothing_are_refused_rather_than_ending_in_no_text():
    logits = torch.zeros(3, 5)
    logits[1], logits[2, 3] = -torch.inf, torch.nan
    with pytest.raises(UnusableScores, match=r"rows \[1, 2\]"):
        best_continuations(logits, BeamRules(2))
