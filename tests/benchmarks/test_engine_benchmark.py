"""The engine's benchmark records what a reader needs to work out the time of one token."""

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


def test_the_engine_records_both_counts_so_that_one_token_can_be_worked_out():
    engine = benchmark("engine")
    seconds = {("transformers.generate", 16): 0.04, ("transformers.generate", 144): 0.4}
    seconds |= {("minillm", 16): 0.02, ("minillm", 144): 0.1}
    timings = {f"{n}, {c} tokens": Timing(n, s, s, s, blocks=1, runs=1) for (n, c), s in seconds.items()}
    short, long = (
        engine._row("minillm", count, 6, timings, {"threads": 2, "weights": "packed"})
        for count in (engine.SHORT, engine.LONG)
    )
    assert (short.shape["T"], short.p50, short.ratio_to_torch) == (16, 0.02, pytest.approx(2))
    assert (long.shape["T"], long.p50, long.ratio_to_torch) == (144, 0.1, pytest.approx(4))
