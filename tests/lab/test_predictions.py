"""Predictions: the first guess counts, nothing is lost, and a ledger that is off touches no disk."""

import json
import math
import os

import numpy as np
import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.lab.ledger import Ledger, default_ledger
from minillm.lab.predictions import calibration, predict, score


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "work" / "predictions.json")


def test_a_guess_is_scored_by_its_factor(ledger):
    predict("01.bytes", 2 * 2**30, unit="bytes", ledger=ledger)
    text = repr(score("01.bytes", 3 * 2**30, ledger=ledger))
    assert "you guessed 2 GiB, it is 3 GiB: within a factor 1.5, too low" in text
    assert "1 of 1 are within 2" in text


def test_the_first_guess_counts_and_revisions_are_kept(ledger):
    predict("01.a", 10, ledger=ledger)
    predict("01.a", 10, ledger=ledger)
    note = predict("01.a", 100, ledger=ledger)
    predict("01.a", 100, ledger=ledger)
    assert "your first guess, 10, is the one that counts" in repr(note)
    entry = ledger.entries()["01.a"]
    assert (entry.first, entry.revisions) == (10.0, [100.0])
    score("01.a", 100, ledger=ledger)
    assert calibration(ledger).ratios == (0.1,)


@pytest.mark.parametrize("skipped", [None, ...])
def test_no_guess_writes_nothing(ledger, skipped):
    assert "no guess yet" in repr(predict("01.a", skipped, unit="bytes", ledger=ledger))
    assert "no guess was written down" in repr(score("01.a", 5, ledger=ledger))
    assert not ledger.path.parent.exists()


def test_calibration_over_several(ledger):
    for name, guess, actual in [("a", 1, 4), ("b", 10, 10), ("c", 30, 10), ("d", 8, 10)]:
        predict(name, guess, ledger=ledger)
        score(name, actual, ledger=ledger)
    predict("unscored", 1, ledger=ledger)
    result = calibration(ledger)
    assert result.names == ("a", "b", "c", "d")
    assert result.median_factor == pytest.approx((1.25 + 3) / 2)
    assert result.share_within_2 == 0.5
    assert "Too low 2 times, too high 1 times" in repr(result)
    for line in result.lines:
        assert line in result._repr_html_()


def test_an_empty_calibration_and_its_figure_are_quiet(ledger):
    result = calibration(ledger)
    assert math.isnan(result.median_factor) and repr(result) == "No predictions scored yet."
    assert result.figure().png.startswith(b"\x89PNG")


def test_the_figure_names_every_guess(ledger):
    predict("01.a", 3, ledger=ledger)
    score("01.a", 6, ledger=ledger)
    assert "01.a: 0.5 times the actual value" in calibration(ledger).figure().text


def test_off_reads_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINILLM_LEDGER", "off")
    predict("01.a", 5)
    assert repr(score("01.a", 5, unit="bytes")) == "○ 01.a: it is 5 B; no guess was written down."
    assert repr(calibration()) == "No predictions scored yet."
    assert list(tmp_path.iterdir()) == []


def test_by_default_the_ledger_lies_beside_the_notebook(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINILLM_LEDGER", raising=False)
    predict("01.a", 5, unit="bytes")
    assert json.loads((tmp_path / ".minillm" / "predictions.json").read_text())["predictions"]["01.a"]["first"] == 5.0
    monkeypatch.setenv("MINILLM_LEDGER", str(tmp_path / "mine.json"))
    assert default_ledger().entries() == {}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"version": 9, "predictions": {}}', '{"version": 1, "predictions": {"a": {"first": "x"}}}']
)
def test_an_unreadable_ledger_is_set_aside_not_lost(ledger, content):
    ledger.path.parent.mkdir()
    for attempt in ("predictions.unreadable", "predictions.unreadable_2"):
        ledger.path.write_text(content)
        predict("01.a", 5, ledger=ledger)
        assert (ledger.path.parent / attempt).read_text() == content
        assert list(ledger.entries()) == ["01.a"]


def test_an_interrupted_write_leaves_the_old_file(ledger, monkeypatch):
    predict("01.a", 5, ledger=ledger)
    before = ledger.path.read_text()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict("01.b", 6, ledger=ledger)
    assert ledger.path.read_text() == before
    assert [path.name for path in ledger.path.parent.iterdir()] == ["predictions.json"]


def test_a_folder_that_cannot_be_written_does_not_stop_the_cell(tmp_path):
    (tmp_path / "file").write_text("in the way")
    note = predict("01.a", 5, ledger=Ledger(tmp_path / "file" / "predictions.json"))
    assert "it was not kept" in repr(note) and "MINILLM_LEDGER" in repr(note)


@pytest.mark.parametrize("guess", ["3 GB", [3], True, 1j])
def test_a_guess_that_is_no_number_is_refused(ledger, guess):
    with pytest.raises(InvalidType, match="a plain number"):
        predict("01.a", guess, ledger=ledger)


@pytest.mark.parametrize("guess", [0, -1, math.inf, math.nan])
def test_a_guess_that_has_no_ratio_is_refused(ledger, guess):
    with pytest.raises(InvalidValue, match="above zero"):
        predict("01.a", guess, ledger=ledger)


def test_units_must_agree(ledger):
    predict("01.a", np.float32(5), unit="bytes", ledger=ledger)
    with pytest.raises(InvalidValue, match="one unit"):
        predict("01.a", 6, unit="seconds", ledger=ledger)
    with pytest.raises(InvalidValue, match="guessed in bytes"):
        score("01.a", 6, unit="seconds", ledger=ledger)
    with pytest.raises(InvalidType, match="text"):
        predict(3, 6, ledger=ledger)
