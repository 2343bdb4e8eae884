"""The engine's own benchmark writes whole texts, holds some of them to the model, and takes ratios within rounds."""

import itertools

import pytest
import torch

from minillm.model import ModelConfig
from minillm.serving.engine import LLMEngine

SMALL = ModelConfig(300, 64, 96, 2, 4, 2, 16, tie_word_embeddings=False)


@pytest.fixture
def throughput(peers, monkeypatch):
    module, workload = peers("throughput"), peers("workload")
    monkeypatch.setitem(module.CONFIGS, "24M", SMALL)
    monkeypatch.setattr(module, "many_at_once", lambda vocab_size: workload.many_at_once(vocab_size, count=3))
    return module


def test_a_row_for_engine_and_floor_by_number_type_and_threads(throughput):
    threads = torch.get_num_threads()
    rows = throughput.throughput(threads=[1], quick=True)
    assert torch.get_num_threads() == threads
    kinds = [(row.backend, row.dtype) for row in rows]
    assert kinds == [(n, d) for d in ("float32", "bfloat16") for n in ("minillm", "F.linear")]
    assert rows[0].shape == {"B": 3, "L": 17 + 130 + 243, "T": 8 + 64 + 120}
    assert rows[0].ratio_to_torch is not None and rows[1].ratio_to_torch is None
    assert "of F.linear" in throughput.in_words(rows[0]) and "of F.linear" not in throughput.in_words(rows[1])


def test_ratios_are_taken_within_rounds_after_a_warm_up(throughput, monkeypatch):
    ticks = iter(itertools.accumulate(x for pair in ((9, 1), (1, 2), (10, 40), (2, 6)) for s in pair for x in (0, s)))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(ticks))
    calls = {"minillm": lambda: None, "F.linear": lambda: None}
    ours, floor = throughput._race(
        throughput.works(quick=True)[0], torch.float32, calls, {"threads": 1, "weights": "packed"}, 3
    )
    assert ours.ratio_to_torch == 3 and (ours.p50, floor.p50, ours.runs) == (2, 6, 3)


def test_a_text_that_is_not_the_models_own_is_not_timed(throughput):
    (work,) = throughput.works(quick=True)
    model = throughput.random_decoder(SMALL).requires_grad_(False)
    texts = throughput.write_all(LLMEngine(model), work.requests)
    throughput.require_greedy(model, work.requests, texts)
    wrong = [list(text) for text in texts]
    wrong[1][3] = (wrong[1][3] + 1) % 299
    with pytest.raises(AssertionError, match="behind the best"):
        throughput.require_greedy(model, work.requests, wrong)
    with pytest.raises(AssertionError, match="tokens were written"):
        throughput.require_greedy(model, work.requests, [text[:-1] for text in texts])
