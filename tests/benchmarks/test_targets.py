"""Targets are judged by the rows they name, and by no others."""

import pytest
from targets import TARGETS, Target, reached, verdicts

from minillm.measure import Measurement, Record

SLAB = {"B": 32, "S": 8192, "H": 32, "G": 8, "D": 128}


def row(operator, shape, backend="triton", seconds=1.0, options=None, **facts):
    return Measurement(
        operator, backend, "bfloat16", shape, seconds, seconds, seconds, 1, bytes_moved=3 * 10**12, options=options or {}, **facts
    )  # fmt: skip


def record(*rows):
    facts = dict(
        device="A GPU", driver=None, versions={"torch": "2"}, commit="0000000", date="2026-01-01T00:00:00+00:00"
    )
    return Record(**facts, command="x", copy_bytes_per_s=4e12, matmul_flops_per_s={"bfloat16": 1e15}, measurements=rows)


def test_a_fraction_a_rate_and_ratios_are_read_off_the_right_rows():
    paged = SLAB | {"L": 1, "P": 16}
    found = record(
        row("flash_decode", SLAB, best_torch="torch rows", ratio_to_torch=1.25),
        row("flash_decode", {"B": 1, "S": 32_768, "H": 32, "G": 8, "D": 128}, seconds=2.0),
        row("paged_decode", paged, seconds=2.0),
        row("paged_decode", paged, "triton contiguous", seconds=1.5),
        row("paged_decode", paged, "triton contiguous", seconds=9.0, options={"lengths": "uneven"}),
    )
    assert [reached(target, found) for target in TARGETS] == [0.75, 1.25, 1.5e12, None, None, 0.75, None, None]
    assert [line.split(":")[0] for line in verdicts(found)] == ["missed", "reached", "missed", "missed"]


@pytest.mark.parametrize(("seconds", "word"), [(1.0, "missed"), (0.9, "reached"), (0.8, "more than reached")])
def test_a_verdict_says_what_was_reached_and_what_was_wanted(seconds, word, monkeypatch):
    monkeypatch.setattr("targets.TARGETS", (Target("kv_write", {"T": 8}, "of copy", 0.8, 0.9),))
    (line,) = verdicts(record(row("kv_write", {"T": 8, "G": 1}, seconds=seconds)))
    value = 0.75 / seconds
    assert line == f"{word}: kv_write T 8: of copy: {value:.3g}; 0.8 wanted, 0.9 wished for"


def test_what_was_not_timed_has_no_verdict():
    other = row("flash_decode", SLAB, options={"lengths": "uneven"}), row("flash_decode", SLAB, "torch rows")
    assert list(verdicts(record(*other))) == []
