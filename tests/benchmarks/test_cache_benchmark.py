"""The cache benchmark times steps that agree, in both contiguous ways where there are two, and compares with the better."""

import importlib.util
import itertools
import sys

import pytest
import torch

from minillm.attention import pages
from minillm.model import ModelConfig


@pytest.fixture
def bench(repository, monkeypatch):
    path = repository / "benchmarks" / "cache" / "decode_step.py"
    spec = importlib.util.spec_from_file_location("decode_step_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # a dataclass looks its module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LLAMA", ModelConfig(61, 32, 48, 2, 4, 2, 8, max_position_embeddings=64))
    monkeypatch.setattr(module, "CASES", (module.Case("llama", (40,)), module.Case("llama", module.ragged(4, 3, 40))))
    monkeypatch.setattr(module, "compare_calls", quick_compare(module.compare_calls))
    return module


def quick_compare(real):
    return lambda calls, **_: real(calls, min_seconds=0.002, rounds=2)


def test_every_cache_has_a_row_and_the_better_contiguous_way_is_the_measure(bench):
    threads = torch.get_num_threads()
    rows = bench.decode_steps(threads=[1])
    assert torch.get_num_threads() == threads
    one, many = rows[:4], rows[4:]
    assert [row.backend for row in one] == ["contiguous", "paged", "paged, int8", "paged, fp8"]
    assert [row.backend for row in many] == ["padded", "one by one", "paged", "paged, int8", "paged, fp8"]
    best = min(many[:2], key=lambda row: row.p50)
    assert best.ratio_to_torch is None and {row.best_torch for row in many} == {None, best.backend}
    assert one[0].shape | {"B": 1, "S": 40, "T": 40, "P": 16} == one[0].shape
    assert many[0].shape["B"] == 4 and 3 * 4 < many[0].shape["T"] < 40 * 4
    assert "of contiguous" in bench.in_words(one[1]) and "of contiguous" not in bench.in_words(one[0])


def test_steps_that_differ_are_not_timed(bench, monkeypatch):
    def lost(self, pages, block_ids):
        self.k.zero_()
        self.v.zero_()

    monkeypatch.setattr(pages.PageBuffer, "fetch", lost)
    with pytest.raises(AssertionError, match="no time would mean much"):
        bench.decode_steps(threads=[1])


def test_blocks_are_dealt_out_in_no_order(bench):
    from minillm.cache import PagedCache

    cache = PagedCache(1, 50, 16, 1, 8)
    bench._shuffle(cache)
    blocks = cache.pool.allocate(50)
    assert sorted(blocks) == list(range(50)) and sum(b - a == 1 for a, b in itertools.pairwise(blocks)) < 8
