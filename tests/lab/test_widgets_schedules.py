"""The serving lab: every schedule serves the same requests, the picture's bars are the trace's, and the words are the numbers."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from minillm.errors import FileProblem, InvalidType, InvalidValue
from minillm.lab import figures, widgets
from minillm.lab.widgets import schedule_days
from minillm.lab.widgets.schedule_compare import YOURS, explore_schedules
from minillm.lab.widgets.schedule_days import POLICIES, TRACES, known_costs
from minillm.lab.widgets.schedule_picture import stretches_of, title_of
from minillm.lab.widgets.shell import Panel
from minillm.measure.step_cost import PARTS, StepCost, StepFit
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.watching.summary import Slo
from minillm.serving.workload import Arrival, Workload

SECONDS = {"a step": 0.01, "a token": 0.001, "a key": 1e-6}
FIT = StepFit(StepCost("by hand", tuple(SECONDS.get(part, 0.0) for part in PARTS)), (), (), ())


@pytest.fixture(scope="module")
def explorer():
    return explore_schedules(cost=FIT)


@pytest.mark.parametrize("trace", TRACES)
def test_every_schedule_answers_everybody(explorer, trace):
    data = explorer.data(trace=trace)
    assert [day.name for day in data.days] == list(POLICIES)
    for day in data.days:
        assert [times.num_output_tokens for times in day.simulation.times] == [
            one.max_tokens for one in data.workload.arrivals
        ]
        assert 0 < day.peak <= 1 and day.simulation.workload is data.workload
    assert data == explorer.data(trace=trace), "the same day twice"


def test_the_intruder_stops_everybody_where_prompts_go_first():
    """768 tokens take 0.78 s in one step; cut into steps of 64, each takes 0.075 s."""
    data = explore_schedules("long-prompt intruder", cost=FIT, slo=Slo(tpot=0.2)).data()
    assert data["prefill_first"].longest_gap > 0.768 > 0.1 > data["budget"].longest_gap
    assert data["budget"].simulation.times[-1].ttft > data["prefill_first"].simulation.times[-1].ttft
    black = {day.name: stretches_of(day)["stands still"] for day in data.days}
    assert len(black["prefill_first"]) == 6 and not black["budget"] and not black["splitfuse"]
    assert all(end - start > 0.2 for _, start, end in black["prefill_first"])


def test_bars_are_the_trace(explorer):
    for day in explorer.data().days:
        bars = stretches_of(day)
        computed = sum(end - start for kind in ("is read", "is written") for _, start, end in bars[kind])
        shares = sum(len(step.shares) * (step.end - step.start) for step in day.simulation.steps)
        assert math.isclose(computed, shares)
        waited = {name: end - start for name, start, end in bars["waits"]}
        assert waited == {times.request_id: times.queue for times in day.simulation.times}
        for kind in ("is read", "is written"):
            for name in waited:
                own = sorted((start, end) for request, start, end in bars[kind] if request == name)
                assert all(a[1] < b[0] for a, b in pairwise(own)), "stretches that touch are one"


def test_a_days_numbers_are_read_off_its_steps(explorer):
    for day in explorer.data(blocks=64).days:
        simulation = day.simulation
        held = [64 - step.num_free_blocks for step in simulation.steps]
        assert day.peak == max(held) / 64
        gaps = [b - a for times in simulation.times for a, b in pairwise(times.token_times)]
        assert day.longest_gap == max(gaps) and day.patience == 0.05
        black = stretches_of(day)["stands still"]
        assert sorted(end - start for _, start, end in black) == sorted(gap for gap in gaps if gap > 0.05)
        rows = sum(step.num_tokens for step in simulation.steps)
        padded = sum(step.num_padding_tokens for step in simulation.steps)
        assert simulation.padding == padded / (rows + padded)


def test_without_a_promise_a_long_gap_is_three_usual_ones():
    day = explore_schedules(cost=FIT, slo=Slo(ttft=1.0)).data()["prefill_first"]
    gaps = sorted(gap for times in day.simulation.times for gap in times.itl)
    assert day.patience == pytest.approx(3 * (gaps[len(gaps) // 2] + gaps[(len(gaps) - 1) // 2]) / 2)


def test_words_are_the_numbers(explorer):
    data, text = explorer.data(), explorer.text().splitlines()
    assert text[0] == repr(data.workload) and len(text) == 2 + len(POLICIES) + 3
    for line, day in zip(text[2:], data.days, strict=False):
        ttft, tpot = day.summary.ttft, day.summary.tpot
        want = [day.name, *(f"{1e3 * x:.0f}" for x in (ttft.p50, ttft.p95, tpot.p50, tpot.p95, day.longest_gap))]
        assert line.split()[:6] == want and line.split()[6] == f"{day.summary.goodput:.2f}"
        assert line.split()[8] == f"{day.simulation.padding:.0%}" and line.split()[-1].isdigit()
    assert "TTFT 1000 ms, TPOT 50 ms" in explorer.text() and "virtual clock" in text[-1] and "by hand" in text[-1]


def test_prompts_that_are_not_cut_get_longer_steps_and_it_is_said(explorer):
    data = explorer.data(budget=64)
    longest = max(one.num_prompt_tokens for one in data.workload.arrivals)
    sizes = {day.name: day.simulation.config.max_num_batched_tokens for day in data.days}
    assert sizes == {"budget": 64, "splitfuse": 64, "prefill_first": longest, "static": longest}
    assert data.notes == (f"With prefill_first and static prompts are not cut, so a step may hold {longest} tokens",)
    assert explorer.data(budget=512).notes == () and data.notes[0] in explorer.text(budget=64)


def test_static_batches_pad_and_others_do_not(explorer):
    padding = {day.name: day.simulation.padding for day in explorer.data().days}
    assert padding["static"] > 0.1 and padding["budget"] == padding["splitfuse"] == padding["prefill_first"] == 0


def test_a_small_pool_preempts(explorer):
    assert explorer.data(blocks=64)["budget"].simulation.num_preemptions > 0
    assert explorer.data(blocks=512)["budget"].simulation.num_preemptions == 0


def test_a_trace_and_schedules_of_ones_own():
    trace = Workload("mine", [Arrival(0.0, range(1, 300), 8, name="long"), Arrival(0.1, (5, 6, 7), 8, name="short")])
    rules = {f"chunks of {n}": SchedulerConfig(max_num_batched_tokens=n) for n in (32, 256)}
    explorer = explore_schedules(trace, rules, cost=FIT)
    assert {control.name for control in explorer.controls} == {"trace", "rate", "delay", "blocks", "cost"}
    data = explorer.data()
    assert data.workload is trace and [day.name for day in data.days] == list(rules)
    assert [max(step.num_tokens for step in day.simulation.steps) for day in data.days] == [32, 256]
    assert explorer.data(trace="bursty").workload.name == "bursty" and explorer.state()["trace"] == YOURS
    assert explorer.still().png and "long" in {name for name, *_ in stretches_of(data.days[0])["is read"]}
    with pytest.raises(InvalidValue, match="unknown schedule 'chunks of 33'"):
        data["chunks of 33"]


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_schedules_can_be_drawn(count):
    assert explore_schedules(schedules=POLICIES[:count], cost=FIT).still().png


def test_the_title_says_who_keeps_the_promise(explorer):
    data = explorer.data()
    good = {day.name: day.summary.goodput for day in data.days}
    title = title_of(data)
    assert f"{max(good.values()):.2f} with {max(good, key=good.get)}" in title and "with static" in title
    alike = replace(data, days=(data.days[0], replace(data.days[0], name="twin")))
    assert title_of(alike).endswith(f"{good['budget']:.2f} with each")


def test_every_control_moves_the_words_and_what_is_drawn(explorer):
    """Drawn by its title alone here, for the whole picture takes its time."""
    panel = Panel(replace(explorer, draw=lambda data: figures.figure(title_of(data), width=5, height=1)))
    moves = {"trace": "bursty", "rate": 4.0, "budget": 32, "seats": 4, "delay": 0.5, "blocks": 64}
    for name, value in moves.items():
        before = panel.readout.value, panel.data
        panel.control[name].value = value
        assert panel.readout.value != before[0] and panel.data != before[1], name


def test_the_picture_shows_the_state(explorer):
    pictures = {explorer.still(**state).png for state in ({}, {"budget": 256}, {"trace": "bursty", "seats": 4})}
    assert len(pictures) == 3 and explorer.still().png in pictures


def test_costs_come_from_records_that_are_named():
    costs = known_costs()
    name = next(iter(costs))
    explorer = explore_schedules(cost=name[:6])
    assert explorer.state()["cost"].startswith(name[:6])
    assert explorer.data().source in explorer.text()
    assert explore_schedules().state()["cost"].startswith("llama")


def test_without_a_record_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(schedule_days, "recorded_step_costs", dict)
    known_costs.cache_clear()
    try:
        with pytest.raises(FileProblem, match="minillm bench serving"):
            explore_schedules()
    finally:
        known_costs.cache_clear()


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"trace": "poison"}, InvalidValue, "unknown trace 'poison' .did you mean 'poisson'"),
        ({"schedules": ("budgit",)}, InvalidValue, "unknown policy 'budgit' .did you mean 'budget'"),
        ({"schedules": "budget"}, InvalidType, "schedules must be policies in a list"),
        ({"schedules": ()}, InvalidType, "schedules must be policies in a list"),
        ({"schedules": {"mine": 3}}, InvalidType, "schedules by name must be SchedulerConfigs"),
        ({"slo": 0.05}, InvalidType, "slo must be an Slo"),
        ({"cost": "nobody's"}, InvalidValue, "unknown cost"),
        ({"cost": 3}, InvalidType, "cost must be a name or a StepFit"),
    ],
)
def test_bad_arguments_are_refused(asked, error, message):
    with pytest.raises(error, match=message):
        widgets.compare_schedules(**asked)


def test_a_pool_that_can_never_hold_a_request_is_told():
    trace = Workload("too long", [Arrival(0.0, range(1, 2000), 8)])
    with pytest.raises(InvalidValue, match="must fit the pool's 96 blocks"):
        explore_schedules(trace, cost=FIT).data()
