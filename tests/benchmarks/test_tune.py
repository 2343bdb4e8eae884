"""The tuner tries the table's own tiles first, drops what spills, does not fit or is wrong, and prints a row to paste."""

from types import SimpleNamespace

import pytest
import tune
from plan import Case

from minillm import kernels
from minillm.errors import InvalidValue
from minillm.kernels.attention_tiles import Tiles, choose_tiles
from minillm.measure import Timing

SMALL = Case("attention", {"B": 1, "L": 40, "S": 40, "H": 2, "G": 1, "D": 16}, "float32", (), {"causal": True})


def report(spilled=0, fits=True):
    return SimpleNamespace(fits=fits, spill_bytes=spilled, registers=100, shared_bytes=1000)


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_the_tables_own_tiles_come_first_and_nothing_twice(head_dim):
    found = tune.candidates("sm_90", head_dim, 2)
    assert found[0] == choose_tiles("sm_90", head_dim, 2)
    assert len(set(found)) == len(found) <= 25


def test_what_spills_or_does_not_fit_or_compile_is_dropped(monkeypatch, capsys):
    tiles = [Tiles(64, size) for size in (16, 32, 64, 128)]
    monkeypatch.setattr(tune.inspect, "call_jobs", lambda *_, target: [target])
    answers = [report(), report(spilled=8), report(fits=False), InvalidValue("too large")]
    monkeypatch.setattr(tune.inspect, "compile_many", lambda jobs: answers)
    assert list(tune.survivors(tiles, SMALL, "sm_90")) == tiles[:1]
    assert capsys.readouterr().out.count("dropped") == 2


@pytest.mark.skipif(kernels.mode().name == "absent", reason="needs Triton")
def test_the_wrong_are_dropped_before_anything_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(tune, "compare_on_gpu", lambda calls, min_seconds: {n: Timing(n, 1, 1, 1, 1, 1) for n in calls})
    right, wrong = Tiles(32, 32), Tiles(16, 16)
    real = tune._call
    monkeypatch.setattr(tune, "_call", lambda q, k, v, causal, t: real(q, k, v, causal, right) * (1 + (t == wrong)))
    assert list(tune.race([wrong, right], SMALL, "cpu", 0.1)) == [right]
    assert "its answer is wrong" in capsys.readouterr().out


def test_the_fastest_is_printed_as_a_row_of_the_table(monkeypatch, capsys):
    fast, slow = Tiles(128, 64, 8, 3), Tiles(64, 64, 4, 2)
    monkeypatch.setattr(tune.kernels, "mode", lambda: SimpleNamespace(name="gpu"))
    monkeypatch.setattr(tune, "architecture", lambda: "sm_90")
    monkeypatch.setattr(tune, "survivors", lambda tiles, case, target: [slow, fast])
    timings = {slow: Timing("", 2, 2, 2, 1, 1), fast: Timing("", 1, 1, 1, 1, 1)}
    monkeypatch.setattr(tune, "race", lambda tiles, case, device, seconds: timings)
    tune.main(["flash_attention", "--head-dim", "128", "--causal"])
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == f'("sm_90", 2): (128, {fast})' and eval(row.partition(": ")[2]) == (128, fast)


def test_without_a_gpu_a_target_must_be_named_and_nothing_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(tune.kernels, "mode", lambda: SimpleNamespace(name="interpreter"))
    with pytest.raises(SystemExit, match="--target sm_90"):
        tune.main(["flash_attention"])
    monkeypatch.setattr(tune, "survivors", lambda tiles, case, target: tiles[:2])
    tune.main(["flash_attention", "--target", "sm_80"])
    assert "2 left; none timed" in capsys.readouterr().out
