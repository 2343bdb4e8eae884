"""A padded step over memory that stays is the step it stands for, row by row, whether kernels attend or torch does.

Without a GPU nothing is recorded; everything else of a recorded step runs here: its buffers, its padding, its kernels (in
Triton's interpreter).
"""

import pytest
import torch
from cached_texts import decoder, text
from graph_battery import CHECKS, HOUSE, LONGEST, NAMES, QUICK, cache_of, compare, complaint, describe, house_with
from static_batches import TorchBatch, as_it_is

from minillm.cache.paged_batch import PagedBatch
from minillm.errors import InvalidType, Unsupported
from minillm.kernels.runtime import mode
from minillm.serving.compute import decode_graph
from minillm.serving.compute.decode_graph import CudaRecorder, DecodeGraphs, StaticBatch
from minillm.serving.engine import LLMEngine
from minillm.serving.runner import PagedLoop
from minillm.serving.sampling_params import SamplingParams

interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="needs Triton's interpreter")


@pytest.mark.parametrize("name", CHECKS)
def test_padded_steps_keep_their_promises(name):
    CHECKS[name](HOUSE)


@pytest.mark.parametrize("name", NAMES)
def test_every_wrong_line_breaks_its_promises(name):
    mutant = describe(name)
    house = house_with(mutant)
    for promise in mutant.CAUGHT_BY:
        assert complaint(promise, house), f"{promise} let {name} pass"


def test_the_wrong_lines_are_all_here():
    assert len(NAMES) >= 9
    assert not any(complaint(name, house_with()) for name in CHECKS)


@interpreted
@pytest.mark.parametrize(("name", "dtype"), [("qwen3", torch.float32), ("qwen2 window", torch.bfloat16)])
def test_the_kernels_take_rows_that_nobody_has(name, dtype):
    model = decoder(name).to(dtype)
    try:
        compare(HOUSE, model, StaticBatch, [1, 4], 1e-5 if dtype == torch.float32 else 0.1, QUICK)
    finally:
        model.double()
        decoder.cache_clear()


@interpreted
def test_rows_of_nobody_are_zero_and_write_nothing():
    model = decoder("llama").to(torch.float32)
    try:
        cache = cache_of(model, 0)
        batch, table = StaticBatch(cache, 4, LONGEST), cache.table()
        PagedLoop(model).step(text(5)[0], cache.extend([table], [5]))
        batch.load([7], cache.extend([table], [1]))
        before = cache.k.clone()
        drawn = torch.Generator().manual_seed(0)
        H, G, D = 4, 2, 8
        q, k, v = (torch.randn(4, n, D, generator=drawn) for n in (H, G, G))
        out = batch.attend(0, q, k, v)
        assert not out[1:].any() and out[0].isfinite().all() and out[0].any()
        changed = (cache.k.isnan() != before.isnan()) | (cache.k.nan_to_num() != before.nan_to_num())
        assert changed.any(dim=(-1, -2)).sum() == 1, "one slot of one layer"
    finally:
        model.double()
        decoder.cache_clear()


def test_a_processor_refuses_in_a_sentence():
    model = decoder("qwen3")
    with pytest.raises(Unsupported, match=r"decode graphs need a GPU.*leave cuda_graphs off"):
        DecodeGraphs(PagedLoop(model), cache_of(model, 0), [1], 8)
    for value, error in ((True, Unsupported), ("yes", InvalidType), (1, InvalidType)):
        with pytest.raises(error, match="cuda_graphs"):
            LLMEngine(model, cuda_graphs=value)


def write_all(engine, prompts, params):
    names = [engine.add_request(prompt, params) for prompt in prompts]
    while engine.has_unfinished:
        engine.step()
    return [[list(out.token_ids) for out in engine.output(name).outputs] for name in names]


def engine_of(model, kind, blocks=14, sizes=(1, 2, 4)):
    """An engine with so little memory that texts must wait for it, and padded steps if there is a kind of them."""
    engine = LLMEngine(
        model, block_size=4, num_blocks=blocks, max_num_seqs=5, max_num_batched_tokens=12, check=True,
        new_seed=lambda: 7,
    )  # fmt: skip
    if kind is not None:
        engine.worker.graphs = DecodeGraphs(
            engine.worker.loop, engine.cache, sizes, LONGEST, record=as_it_is, make_batch=kind
        )
    return engine


def test_an_engine_writes_the_same_with_padded_steps():
    """Prefill, preemption, samples that share blocks, steps too large to be padded: all in one run."""
    model = decoder("qwen3")
    prompts = [text(n, seed=n)[0].tolist() for n in (9, 3, 14, 9)]
    params = SamplingParams(n=2, temperature=0.8, max_tokens=9, seed=3)
    want = write_all(engine_of(model, None), prompts, params)
    engine = engine_of(model, TorchBatch)
    steps = []
    inner = engine.worker.graphs.step
    engine.worker.graphs.step = lambda ids, batch: steps.append(len(ids)) or inner(ids, batch)
    assert write_all(engine, prompts, params) == want
    assert len(set(steps)) >= 2 and max(steps) <= 4 and engine.metrics.preemptions.value > 0


@interpreted
def test_an_engine_writes_the_same_by_kernels(monkeypatch):
    """All of a run by the kernels that a GPU has, interpreted: prompts by the batch, single tokens by padded rows."""
    model = decoder("qwen2 window").to(torch.float32)
    try:
        prompts, params = [text(n, seed=n)[0].tolist() for n in (5, 3, 6)], SamplingParams(temperature=0, max_tokens=4)
        want = write_all(engine_of(model, None), prompts, params)
        monkeypatch.setattr(PagedBatch, "attend", PagedBatch.attend_by_kernels)
        assert write_all(engine_of(model, None), prompts, params) == want
        assert write_all(engine_of(model, StaticBatch, sizes=(4,)), prompts, params) == want
    finally:
        model.double()
        decoder.cache_clear()


class Noted:
    """Stands for any of torch.cuda's contexts and streams, and notes what is entered and asked of it."""

    def __init__(self, name, notes):
        self.name, self.notes = name, notes

    def __enter__(self):
        self.notes.append(f"enter {self.name}")

    def __exit__(self, *problem):
        self.notes.append(f"leave {self.name}")

    def wait_stream(self, other):
        self.notes.append(f"{self.name} waits for {other.name}")

    def replay(self):
        self.notes.append("replay")


def test_a_recorder_gets_ready_then_records_once_then_replays(monkeypatch):
    notes, calls = [], []
    for name in ("device", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name, **__: Noted(name, notes))
    for name, what in (("Stream", "side"), ("current_stream", "main"), ("CUDAGraph", "a graph")):
        monkeypatch.setattr(torch.cuda, name, lambda *_, what=what: Noted(what, notes))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: 7)
    replay = CudaRecorder(torch.device("cpu"))(lambda: calls.append(len(notes)) or torch.tensor(len(calls)))
    assert len(calls) == 3 and "replay" not in notes
    inside = [notes[:n].count("enter graph") - notes[:n].count("leave graph") for n in calls]
    assert inside == [0, 0, 1], "two to get ready, one that is recorded"
    assert notes.index("side waits for main") < calls[0] < notes.index("main waits for side") < calls[2]
    assert replay() == 3 and replay() == 3 and len(calls) == 3 and notes.count("replay") == 2


@interpreted
def test_an_engine_that_is_told_to_records_its_steps(monkeypatch):
    """The whole way from the option to a text, but for the recording."""
    monkeypatch.setattr(decode_graph, "require_graphs", lambda cache: None)
    monkeypatch.setattr(decode_graph, "CudaRecorder", lambda device: as_it_is)
    model = decoder("llama").to(torch.float32)
    try:
        settings = dict(block_size=4, num_blocks=20, max_num_seqs=2, max_model_len=24)
        engine = LLMEngine(model, **settings, cuda_graphs=True)
        assert engine.worker.graphs.sizes == (1, 2) and engine.worker.graphs.max_length == 24
        prompts, params = [[5, 6, 7], [8, 9]], SamplingParams(temperature=0, max_tokens=3)
        assert write_all(engine, prompts, params) == write_all(LLMEngine(model, **settings), prompts, params)
        assert engine.worker.num_failed_passes == 0
    finally:
        model.double()
        decoder.cache_clear()
