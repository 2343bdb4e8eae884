"""The formula for a step: its parts counted one by one, its fit against known costs, and what it says of its own errors."""

import dataclasses
import random

import numpy as np
import pytest

from minillm.errors import InvalidValue
from minillm.measure.record import Measurement, Record
from minillm.measure.step_cost import (
    OPERATOR,
    PARTS,
    StepCost,
    StepWork,
    amounts,
    fit_step_cost,
    least_squares_not_negative,
    recorded_step_costs,
    shape_of,
    work_of,
)  # fmt: skip


def drawn_steps(cost, noise=0.0, count=80):
    draw, steps = random.Random(0), []
    for _ in range(count):
        shares = [(draw.randrange(900), draw.choice((1, 1, 1, 8, 40, 300))) for _ in range(draw.randint(1, 30))]
        work = StepWork.of(shares, rows=draw.randint(1, len(shares)))
        steps.append((work, cost.seconds(work) * (1 + draw.uniform(-noise, noise))))
    return steps


@pytest.fixture
def cost():
    """1 ms a step, 0.1 ms a token, 0.05 a token beyond 64, 0.02 a row, 0.03 a text, 1 µs a key, 0.2 µs a pair."""
    seconds = dict(zip(PARTS, [0.0] * len(PARTS), strict=True)) | {
        "a step": 1e-3, "a token": 1e-4, "a token beyond 64": 5e-5, "a row scored": 2e-5, "a text": 3e-5,
        "a key": 1e-6, "a query and key": 2e-7,
    }  # fmt: skip
    return StepCost("made up", tuple(seconds.values()))


def test_work_is_counted_pair_by_pair():
    shares = [(0, 5), (10, 1), (3, 4)]
    work = StepWork.of(shares, rows=2)
    pairs = sum(position + 1 for start, count in shares for position in range(start, start + count))
    assert work == (10, 2, 3, 5 + 11 + 7, pairs)
    assert StepWork.of(shares, rows=2, padding=3) == (13, 2, 3, 23, pairs)
    assert StepWork.of([], rows=0) == (0, 0, 0, 0, 0)


def test_seconds_are_a_sum(cost):
    work = StepWork(tokens=100, rows=3, texts=4, keys=1000, pairs=50_000)
    assert cost.seconds(work) == pytest.approx(1e-3 + 1e-2 + 36 * 5e-5 + 6e-5 + 1.2e-4 + 1e-3 + 1e-2)
    assert dict(zip(PARTS, amounts(work), strict=True))["a token up to 16"] == 16
    assert "1000.000 µs a step" in str(cost) and "up to" not in str(cost)


def test_known_costs_are_found_again(cost):
    fit = fit_step_cost(drawn_steps(cost), "made up")
    asked = [StepWork(1, 1, 1, 700, 700), StepWork(512, 1, 1, 512, 131_328), StepWork(32, 32, 32, 9000, 9000)]
    for work in asked:
        assert fit.cost.seconds(work) == pytest.approx(cost.seconds(work), rel=1e-6)
    assert max(map(abs, fit.errors)) < 1e-6 and max(map(abs, fit.held_out)) < 1e-6


def test_errors_are_reported_and_steps_held_out_say_more(cost):
    fit = fit_step_cost(drawn_steps(cost, noise=0.2), "noisy")
    assert fit.fitted == tuple(map(fit.cost.seconds, fit.works))
    assert fit.errors[0] == pytest.approx(fit.fitted[0] / fit.measured[0] - 1)
    inside, outside = (np.square(errors).mean() for errors in (fit.errors, fit.held_out))
    assert 0.05**2 < inside < outside < 0.3**2
    assert f"{np.abs(fit.held_out).max():.1%}" in str(fit) and "80 steps" in str(fit)


def test_a_step_is_held_out_of_the_formula_it_is_asked_of(cost):
    """One step that took ten times as long moves the formula fitted with it, and not the one fitted without."""
    steps = drawn_steps(cost)
    slow = 7
    steps[slow] = (steps[slow][0], 10 * steps[slow][1])
    fit = fit_step_cost(steps, "one slow")
    assert fit.held_out[slow] == pytest.approx(-0.9, abs=1e-6)


def test_no_part_gives_time_back():
    draw = np.random.default_rng(0)
    for _ in range(200):
        a, b = draw.normal(size=(12, 5)), draw.normal(size=12)
        x = least_squares_not_negative(a, b)
        slope = a.T @ (b - a @ x)
        assert (x >= 0).all() and (slope <= 1e-8).all(), "a part could still make it better"
        np.testing.assert_allclose(slope[x > 0], 0, atol=1e-8)


def test_parts_that_say_the_same_do_no_harm():
    a = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    x = least_squares_not_negative(a, np.array([2.0, 4.0, 6.0]))
    assert (x >= 0).all() and x.sum() == pytest.approx(2.0)


@pytest.mark.parametrize("parts", [(1.0,), (-1e-9, *[1.0] * (len(PARTS) - 1)), (0.0,) * len(PARTS)])
def test_impossible_costs_are_refused(parts):
    with pytest.raises(InvalidValue, match="a step's cost has"):
        StepCost("nobody's", parts)


def test_too_few_steps_are_refused(cost):
    steps = drawn_steps(cost, count=2 * len(PARTS))
    fit_step_cost(steps, "enough")
    with pytest.raises(InvalidValue, match="a fit needs"):
        fit_step_cost(steps[1:], "too few")
    with pytest.raises(InvalidValue, match="more than 0 s"):
        fit_step_cost([*steps, (steps[0][0], 0.0)], "no time")


def test_records_give_a_formula_for_each_model(cost):
    def rows(model):
        return tuple(
            Measurement(OPERATOR, "PagedLoop", "float32", shape_of(work), seconds, seconds, seconds, 3,
                        options={"model": model, "threads": 1})
            for work, seconds in drawn_steps(cost)
        )  # fmt: skip

    record = Record("Some CPU", None, {"torch": "2"}, "0000000", "2026-11-21T12:00:00+00:00", "x", 1.0, {"float32": 1.0},
                    rows("tiny 3M") + rows("llama 23M")[:4])  # fmt: skip
    fits = recorded_step_costs([record])
    assert list(fits) == ["tiny 3M, float32, 1 thread on Some CPU"]
    (fit,) = fits.values()
    assert fit.cost.source == "tiny 3M, float32, 1 thread on Some CPU, 2026-11-21"
    assert fit.works[0] == drawn_steps(cost)[0][0] and max(map(abs, fit.errors)) < 1e-6
    none = dataclasses.replace(record, measurements=record.measurements[-1:])
    assert recorded_step_costs([none]) == {}


def test_a_work_survives_being_recorded():
    for work in (StepWork(8, 0, 1, 8, 36), StepWork(1, 1, 1, 5, 5)):
        row = Measurement(OPERATOR, "x", "float32", shape_of(work), 1.0, 1.0, 1.0, 1)
        assert work_of(row) == work
