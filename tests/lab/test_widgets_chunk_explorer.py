"""The chunk explorer: gaps and first tokens by budget, worked out by hand where a step costs a second a token."""

from dataclasses import replace

import pytest

from minillm.errors import InvalidValue
from minillm.lab import figures, widgets
from minillm.lab.widgets.chunk_sizes import BUDGETS, PROMPTS, chunk_days, explore_chunks
from minillm.lab.widgets.shell import Panel
from minillm.measure.step_cost import PARTS, StepCost, StepFit

SECONDS = {"a step": 0.01, "a token": 0.001}
FIT = StepFit(StepCost("by hand", tuple(SECONDS.get(part, 0.0) for part in PARTS)), (), (), ())


def test_a_gap_is_a_full_step_and_first_tokens_wait_for_all_pieces():
    data = chunk_days(3, 256, 0.1, FIT)
    assert [day.budget for day in data.days] == [16, 32, 64, 128, 256, 512]
    for day in data.days:
        room = day.budget - 3  # three chats take a token each
        assert day.pieces == -(-256 // room)
        assert day.longest == pytest.approx(0.01 + 0.001 * min(day.budget, 256 + 3))
        assert day.usual == pytest.approx(0.013) or day.budget < 64
        assert day.first >= day.pieces * 0.01 + 0.256
    assert data.chosen.budget == 64, "a step of 64 takes 74 ms, one of 128 takes 138"


def test_the_largest_in_time_is_chosen_or_none():
    data = chunk_days(3, 256, 0.138, FIT)
    assert data.chosen.budget == 128, "a gap of exactly what was promised is in time"
    assert replace(data, promised=0.01).chosen is None and replace(data, promised=9.0).chosen.budget == 512
    texts = [explore_chunks(FIT).text(promised=promised) for promised in (20, 100)]
    assert "none keeps 20 ms" in texts[0] and "the largest that keeps 100 ms between tokens: 64" in texts[1]


def test_more_chats_than_a_step_has_tokens_keep_the_prompt_out():
    """Sixteen chats fill a step of 16: the long prompt is read when they are done."""
    days = {day.budget: day for day in explore_chunks(FIT).data(chats=16).days}
    assert days[16].first > 2 * days[64].first


def test_words_are_the_numbers():
    explorer = explore_chunks(FIT)
    data, lines = explorer.data(), explorer.text().splitlines()
    for line, day in zip(lines[2:], data.days, strict=False):
        want = [day.budget, day.pieces, *(round(1000 * value) for value in (day.usual, day.longest, day.first))]
        assert line.split() == list(map(str, want))
    assert "by hand" in lines[-1] and data == explorer.data()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_is_read_at_once_in_the_end(prompt):
    data = explore_chunks(FIT).data(prompt=prompt)
    assert data.days[-1].pieces == 1 and all(day.pieces > 1 for day in data.days[:-1])
    assert {day.budget for day in data.days} <= set(BUDGETS)


def test_every_control_moves_the_words_and_pictures_differ():
    explorer = explore_chunks(FIT)
    panel = Panel(replace(explorer, draw=lambda data: figures.figure("", width=2, height=1)))
    for name, value in {"chats": 12, "prompt": 256, "promised": 20}.items():
        before = panel.readout.value
        panel.control[name].value = value
        assert panel.readout.value != before, name
    assert explorer.still().png != explorer.still(promised=20).png


def test_an_unknown_cost_is_refused():
    with pytest.raises(InvalidValue, match="unknown cost"):
        widgets.chunk_explorer("nobody's")
