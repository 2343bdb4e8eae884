"""Metrics: every definition by an example worked out by hand, and every wrong line seen by the promises it names."""

import math
import time

import pytest
from metrics_battery import CHECKS, request, step
from metrics_mutants import NAMES, complaint, describe, house_with

from minillm.errors import InvalidValue
from minillm.serving.watching.instruments import Histogram, exposition


@pytest.mark.parametrize("name", CHECKS)
def test_promise(name):
    CHECKS[name](house_with())


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    assert mutant.CAUGHT_BY
    for wanted in mutant.CAUGHT_BY:
        assert complaint(wanted, house), f"{wanted} let {name} pass"


def test_most_promises_are_broken_by_something():
    broken = {promise for name in NAMES for promise in describe(name).CAUGHT_BY}
    assert len(NAMES) >= 20 and len(broken) > 2 * len(CHECKS) / 3, sorted(set(CHECKS) - broken)


def test_a_house_without_a_wrong_line_keeps_every_promise():
    """What rejects the mutants is the wrong line, not the way they are loaded."""
    assert all(complaint(name, house_with()) is None for name in CHECKS)


def test_what_is_told_can_be_read_whatever_it_is_called():
    """Prometheus's rules for its text: a line a sample, bounds that rise and differ, help without a line's end."""
    many = Histogram("h", "back\\slash, first\nsecond", (1.0000001, 1.0000002, 2.5))
    many.observe(1.5)
    lines = exposition([many]).splitlines()
    assert lines[0] == r"# HELP minillm:h back\\slash, first\nsecond" and len(lines) == 8
    bounds = [float(line.split('"')[1]) for line in lines[2:6]]
    assert bounds == [1.0000001, 1.0000002, 2.5, math.inf]
    assert [line.rsplit(" ", 1)[1] for line in lines[2:6]] == ["0", "0", "1", "1"]
    for wrong in ((1, math.inf), (math.nan,), (1, math.nan, 3)):
        with pytest.raises(InvalidValue, match="buckets must rise"):
            Histogram("h", "says", wrong)


def test_a_step_costs_little():
    """A step of 32 texts is observed in well under a millisecond, however many steps there were."""
    from minillm.serving.metrics import EngineMetrics

    metrics, names = EngineMetrics(64), [str(i) for i in range(32)]
    for name in names:
        metrics.add(request(name, 0.0, 8))
    written = dict.fromkeys(names, (1,))
    metrics.observe(step(0.0, 1.0, admitted=names, running=32), written)
    best = min(_seconds(lambda i=i: metrics.observe(step(i, i + 1.0, running=32), written)) for i in range(1, 200))
    assert best < 1e-3


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
