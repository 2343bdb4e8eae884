"""Proposers keep their promises, and the promises have teeth."""

from types import SimpleNamespace

import pytest
from drafts_battery import CHECKS
from speculative_mutants import broken_module, complaint, describe, names

import minillm as ml
from minillm.serving.speculation import draft_model, drafts, proposer

# Lowest first: a wrong line in one is seen by those that import it.
FILES = tuple(f"minillm/serving/speculation/{name}.py" for name in ("proposer", "draft_model", "drafts"))
HOUSE = SimpleNamespace(**vars(proposer) | vars(draft_model) | vars(drafts))


@pytest.mark.parametrize("promise", CHECKS)
def test_proposers_keep_their_promises(promise):
    CHECKS[promise](HOUSE)


@pytest.mark.parametrize("name", names("drafts"))
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe("drafts", name)
    module = broken_module(mutant, FILES)
    assert mutant.CAUGHT_BY
    for promise in mutant.CAUGHT_BY:
        assert complaint(CHECKS[promise], module), f"{promise} let {name} pass"


def test_the_wrong_lines_are_all_here_and_most_promises_are_broken_by_one():
    assert len(names("drafts")) >= 24
    broken = {promise for name in names("drafts") for promise in describe("drafts", name).CAUGHT_BY}
    assert set(CHECKS) - broken == set()


def test_the_bundled_draft_reads_what_the_bundled_model_reads():
    made = drafts.as_proposer("draft", ml.load_model("tiny"), num_blocks=8)
    assert isinstance(made, drafts.DraftModelProposer)
    assert ml.load_tokenizer("tiny").encode("def f(x):") == ml.load_tokenizer("tiny-draft").encode("def f(x):")
