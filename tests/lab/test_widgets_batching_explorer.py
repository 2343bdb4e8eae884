"""The batching explorer without a kernel: its numbers against arithmetic, against other settings, and its controls."""

import pytest

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.batch_waiting import ALLOWED, COST, CROWD, DELAYS, MOST, PREFERRED, RATES, explore_batching


@pytest.fixture(scope="module")
def explorer():
    return explore_batching()


@pytest.mark.parametrize("rate", RATES)
def test_everybody_is_answered_and_batches_are_lawful(explorer, rate):
    day = explorer.data(rate=rate, allowed="4, 16").day
    assert not day.unanswered and sum(len(sent.requests) for sent in day.batches) == CROWD
    assert all(len(sent.requests) <= sent.rows in (4, 16) for sent in day.batches)
    assert max(day.latencies) < 10**6


@pytest.mark.parametrize("delay", DELAYS)
def test_nobody_who_finds_the_server_free_waits_longer_than_the_delay(explorer, delay):
    day = explorer.data(rate=100, delay=delay).day
    ends = [0.0, *(sent.ended for sent in day.batches)]
    for sent, free in zip(day.batches, ends, strict=False):
        oldest = min(day.requests[number].arrived for number in sent.requests)
        assert sent.started <= max(free, oldest + 1000 * delay)


def test_a_lonely_request_pays_the_delay_and_its_own_pass(explorer):
    day = explorer.data(rate=25, delay=10).day
    assert day.percentile(50) == 10 + COST(1) / 1000


def test_company_comes_by_itself_when_the_server_is_busy(explorer):
    sizes = [explorer.data(rate=rate, delay=0).day.mean_batch for rate in RATES]
    assert sizes == sorted(sizes) and sizes[0] < 1.1 and sizes[-1] > 8


def test_waiting_saves_passes(explorer):
    passes = [len(explorer.data(delay=delay).day.batches) for delay in DELAYS]
    assert passes == sorted(passes, reverse=True) and passes[-1] < passes[0] / 4


def test_preferred_sizes_leave_early(explorer):
    full, four = (explorer.data(preferred=name).day for name in ("full batches", "4"))
    assert four.percentile(50) < full.percentile(50) and four.mean_batch < full.mean_batch


def test_padding_by_hand(explorer):
    day = explorer.data(allowed="16 only").day
    assert day.padding == pytest.approx(1 - CROWD / (MOST * len(day.batches)))


def test_the_default_view_in_words(explorer):
    lines = explorer.text().splitlines()
    assert (
        lines[0]
        == "600 requests, 300 a second, at most 16 in a batch, 1 instance; preferred: full batches; allowed: any"
    )
    assert lines[2].split()[:3] == ["waits", "10", "ms"] and lines[3].split()[:3] == ["waits", "0", "ms"]
    assert "declared, not measured" in lines[-1]
    assert len(explorer.text(delay=0).splitlines()) == len(lines) - 1


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.batching_explorer()
    moves = {"rate": 800, "delay": 2, "preferred": "4", "allowed": "4, 16", "instances": 2}
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name


@pytest.mark.parametrize("rate", [RATES[0], RATES[-1]])
def test_the_extremes_draw(explorer, rate):
    assert explorer.still(
        rate=rate, delay=DELAYS[-1], instances=3, preferred=list(PREFERRED)[-1], allowed=list(ALLOWED)[-1]
    ).png


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rate": 7}, "rate must be one of 25, 50"),
        ({"delay": 3}, "delay must be one of 0, 1, 2"),
        ({"delay": True}, "delay must be one of"),
    ],
)
def test_bad_arguments_are_refused(asked, message):
    with pytest.raises(InvalidValue, match=message):
        widgets.batching_explorer(**asked)
