"""The speculation explorer: its runs are what the models write alone, its marks are right, its arithmetic is the package's."""

import pytest
import torch

import minillm as ml
from minillm.decoding import accept_same_noise, expected_tokens, speed_up
from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.guessed_runs import KINDS, WRITTEN, Pass, guessed_run
from minillm.lab.widgets.speculation import GUESSES, RIDGE, explore_speculation
from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams


@pytest.fixture(scope="module")
def explorer():
    return explore_speculation()


def written(run):
    return [run.first, *(token for one in run.passes for token in one.written)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_what_the_model_writes_without_guesses(kind):
    model = ml.load_model("tiny", dtype=torch.float64)
    engine = LLMEngine(model, num_blocks=64)
    params = SamplingParams(temperature=KINDS[kind].temperature, seed=16, max_tokens=WRITTEN + 1, ignore_eos=True)
    name = engine.add_request(list(guessed_run(kind, 4).prompt), params)
    while engine.has_unfinished:
        engine.step()
    want = list(engine.output(name).outputs[0].token_ids)
    for k in (1, 4, 8):
        assert written(guessed_run(kind, k)) == want


def test_passes_keep_what_the_rule_keeps_and_guess_no_more_than_asked():
    for kind in KINDS:
        for one in guessed_run(kind, 4).passes:
            assert len(one.drafts) <= 4
            assert list(one.written[:-1]) == list(one.drafts[: one.num_kept])
            if one.num_kept < len(one.drafts):
                assert one.drafts[one.num_kept] != one.written[-1]
            assert one.num_judged == min(one.num_kept + 1, len(one.drafts))


def test_the_marks_are_those_of_the_pass():
    kept, wrong, unjudged = Pass((1, 2, 3), (1, 2, 3, 9)), Pass((1, 2, 3), (1, 9)), Pass((), (9,))
    assert [(p.num_kept, p.num_judged) for p in (kept, wrong, unjudged)] == [(3, 3), (1, 2), (0, 0)]
    assert accept_same_noise([1, 2, 3], [1, 9, 9, 9]) == [1, 9]


def test_the_runs_differ_as_they_are_named():
    best, drawn, new = (
        guessed_run(f"look-up, {name}", 4) for name in ("best tokens", "drawn tokens", "nothing repeats")
    )
    assert best.tokens_a_pass > drawn.tokens_a_pass > new.tokens_a_pass == 1.0
    assert new.acceptance == 0.0
    draft = guessed_run("draft model, best tokens", 4)
    assert 1.2 < draft.tokens_a_pass < best.tokens_a_pass


def test_the_arithmetic_is_the_packages(explorer):
    data = explorer.data(k=3, acceptance=0.7, draft_cost=0.1, batch=128)
    assert data.tokens == expected_tokens(0.7, 3)
    assert data.saving(3, 128) == speed_up(0.7, 3, 0.1, batch=128, ridge=RIDGE)
    assert data.best == max(range(9), key=lambda k: data.saving(k, 128))
    assert explorer.data(batch=256, draft_cost=0.5, acceptance=0.5).best == 0


def test_the_words(explorer):
    text = explorer.text(step=40).splitlines()
    run = guessed_run("draft model, best tokens", 4)
    assert text[0] == f"draft model, best tokens, 4 guesses a pass; passes up to {len(run.passes)} of {len(run.passes)}"
    assert text[1] == "+ kept, x wrong, - not judged, > the target's own"
    assert len(text) == 2 + 6 + 3
    for line, one in zip(text[2:8], run.passes[-6:], strict=True):
        marks = "".join(part[0] for part in line.split(maxsplit=1)[1].split("  "))
        wrong = one.num_judged - one.num_kept
        assert marks == "+" * one.num_kept + "x" * wrong + "-" * (len(one.drafts) - one.num_judged) + ">"
    assert "80%: 3.36 tokens a pass" in text[-2]


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.speculation_explorer()
    moves = dict(kind="look-up, drawn tokens", k=2, step=3, acceptance=0.5, draft_cost=0.5, batch=256)
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name


def test_the_extremes_draw(explorer):
    assert explorer.still(kind="look-up, nothing repeats", k=GUESSES[0], step=1, acceptance=0.0, batch=1).png
    assert explorer.still(k=GUESSES[-1], step=WRITTEN, acceptance=1.0, draft_cost=0.0, batch=256).png


def test_an_unknown_run_is_refused_with_the_table():
    with pytest.raises(InvalidValue, match="did you mean 'draft model, best tokens'"):
        widgets.speculation_explorer("draft model, best token")
