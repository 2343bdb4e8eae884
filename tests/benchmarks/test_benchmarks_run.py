"""The benchmarks run as they are, on shapes small enough for a test: a script nobody ran is a script that fails."""

import importlib.util
from pathlib import Path

import pytest

from minillm.measure import Timing

FOLDER = Path(__file__).parents[2] / "benchmarks"


def benchmark(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shape", [(1, 8, 8, 4, 2, 8), (2, 1, 9, 4, 2, 8)])
def test_operators_give_a_checked_row_for_every_form(shape):
    B, L, S, H, G, D = shape
    rows = benchmark("operators").measure(shape, "float32", "cpu", seconds=0.002)
    assert [row.backend for row in rows] == ["torch", "naive", "sdpa"]
    for row in rows:
        assert row.bytes_moved == 4 * D * (2 * B * L * H + 2 * B * S * G)
        assert row.max_error < 1e-5 and row.best_torch == "torch"
    assert rows[0].ratio_to_torch == 1


def test_operators_refuse_to_time_a_wrong_answer(monkeypatch):
    operators = benchmark("operators")
    monkeypatch.setattr(operators, "TOLERANCE", {"float32": 0.0})
    with pytest.raises(SystemExit, match="a wrong kernel is not timed"):
        operators.measure((1, 8, 8, 4, 2, 8), "float32", "cpu", seconds=0.002)


def test_the_engine_records_both_counts_so_that_one_token_can_be_worked_out():
    engine = benchmark("engine")
    seconds = {("transformers.generate", 16): 0.04, ("transformers.generate", 144): 0.4}
    seconds |= {("minillm", 16): 0.02, ("minillm", 144): 0.1}
    timings = {f"{n}, {c} tokens": Timing(n, s, s, s, blocks=1, runs=1) for (n, c), s in seconds.items()}
    short, long = (engine._row("minillm", count, 6, timings) for count in (engine.SHORT, engine.LONG))
    assert (short.shape["T"], short.p50, short.ratio_to_torch) == (16, 0.02, pytest.approx(2))
    assert (long.shape["T"], long.p50, long.ratio_to_torch) == (144, 0.1, pytest.approx(4))
