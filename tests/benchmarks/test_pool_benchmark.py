"""The pool's benchmark times what it says: a day's calls that can be replayed, and look-ups that find what they should."""

import importlib.util

import pytest

from minillm.cache import BlockPool


@pytest.fixture(scope="module")
def bench(repository):
    spec = importlib.util.spec_from_file_location("pool_benchmark", repository / "benchmarks" / "cache" / "pool.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_day_has_every_kind_of_call_and_leaves_nothing_behind(bench):
    for day in (bench._one_block(200), bench._day(2000)):
        pool = BlockPool(bench.NUM_BLOCKS, bench.BLOCK_SIZE)
        for name, argument in day:
            getattr(pool, name)(argument)
        pool.check([])
    assert {name for name, _ in day} == {"allocate", "fork", "free"}


def test_a_row_is_seconds_a_call_beside_what_is_promised(bench):
    timing = bench.Timing("", 0.1, 0.2, 0.4, blocks=3, runs=30)
    row = bench._row("pool_operations", "BlockPool", timing, 100_000, "a day")
    assert (row.p20, row.p50, row.p80) == (1e-6, 2e-6, 4e-6)
    assert bench.in_words(row) == "pool_operations, BlockPool, a day: 500,000 calls a second (promised: 500,000)"
    row = bench._row("prefix_lookup", "RadixCache", timing, 1, "known")
    assert bench.in_words(row) == "prefix_lookup, RadixCache, known: 200.000 ms (promised: less than 2 ms)"


def test_lookups_are_timed_for_both_caches(bench, monkeypatch):
    calls = []
    monkeypatch.setattr(
        bench, "time_call", lambda call, min_seconds: calls.append(call()) or bench.Timing("", 1, 1, 1, 1, 1)
    )
    rows = bench.prefix_lookup(quick=True)
    assert [(row.backend, row.options["workload"]) for row in rows] == [
        (name, work) for name in ("PrefixCache", "RadixCache") for work in ("known", "unknown", "inserted again")
    ]
    assert [len(found) for found in calls if found is not None] == [511, 0, 511, 0]
