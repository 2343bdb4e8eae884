"""A padded step over memory that stays is the step it stands for, row by row, whether kernels attend or torch does.

Without a GPU nothing is recorded; everything else of a recorded step runs here: its buffers, its padding, its kernels (in
Triton's interpreter).
"""

import pytest
import torch
from cached_texts import decoder, relative, text
from paged_cache_battery import shuffled
from static_batches import TorchBatch, as_it_is

from minillm.cache import PagedCache
from minillm.cache.paged_batch import PagedBatch
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels.runtime import mode
from minillm.serving.decode_graph import DecodeGraphs, StaticBatch, graph_sizes
from minillm.serving.engine import LLMEngine
from minillm.serving.runner import PagedLoop
from minillm.serving.sampling_params import SamplingParams

LONGEST = 40
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="needs Triton's interpreter")


def cache_of(model, seed, P=4):
    c = model.config
    return shuffled(
        PagedCache(c.num_layers, 60, P, c.num_kv_heads, c.head_dim, dtype=model.dtype, check=True), seed=seed
    )


def compare(model, kind, sizes, allowed, days):
    """Days of steps, (how many texts, how long each was) -> every row is what PagedLoop gives, and so is the cache."""
    ours, theirs = cache_of(model, 0), cache_of(model, 1)
    loop = PagedLoop(model)
    graphs = DecodeGraphs(loop, ours, sizes, LONGEST, record=as_it_is, make_batch=kind)
    for lengths, steps in days:
        tables = [[cache.table() for _ in lengths] for cache in (ours, theirs)]
        prompts = torch.cat([text(n, seed=b)[0] for b, n in enumerate(lengths)])
        for cache, mine in zip((ours, theirs), tables, strict=True):
            loop.step(prompts, cache.extend(mine, lengths))
        for step in range(steps):
            ids = text(len(lengths), seed=step)[0]
            one = [1] * len(lengths)
            batch = ours.extend(tables[0], one)
            assert graphs.takes(batch)
            got, want = graphs.step(ids.tolist(), batch), loop.step(ids, theirs.extend(tables[1], one))
            for row, (a, b) in enumerate(zip(got, want, strict=True)):
                assert relative(a, b) <= allowed, f"row {row} of {lengths} in step {step}"
        for layer in range(model.config.num_layers):
            for a, b in zip(*tables, strict=True):
                assert relative(ours.read(layer, a)[0], theirs.read(layer, b)[0]) <= allowed
        for table in (*tables[0], *tables[1]):
            table.free()


DAYS = (((9, 3, 14), 6), ((5,), 4), ((1, 30, 2, 8, 7), 3), ((4, 4), 2))
QUICK = (((9, 3, 14), 2), ((5,), 1), ((1, 9), 1))


@pytest.mark.parametrize("name", ["llama mha", "qwen3", "qwen2 window", "mistral"])
def test_every_row_is_the_steps_own(name):
    """Fewer texts than rows, then more, then fewer: what a former step left in the buffers is nobody's."""
    compare(decoder(name), TorchBatch, [1, 2, 4, 8], 1e-12, DAYS)


@interpreted
@pytest.mark.parametrize(("name", "dtype"), [("qwen3", torch.float32), ("qwen2 window", torch.bfloat16)])
def test_the_kernels_take_rows_that_nobody_has(name, dtype):
    model = decoder(name).to(dtype)
    try:
        compare(model, StaticBatch, [1, 4], 1e-5 if dtype == torch.float32 else 0.1, QUICK)
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


def test_buffers_stay_where_they_are():
    """A recorded step knows addresses, and nothing else of the tensors it was recorded with."""
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    batch = StaticBatch(cache, 2, LONGEST)
    names = ("token_ids", "token_positions", "slot_mapping", "seq_lens", "block_table", "query_start_loc")
    before = {name: getattr(batch, name).data_ptr() for name in names}
    table = cache.table()
    cache.extend([table], [9])
    batch.load([3], cache.extend([table], [1]))
    assert {name: getattr(batch, name).data_ptr() for name in names} == before
    assert batch.token_ids.tolist() == [3, 0] and batch.token_positions.tolist() == [9, 0]
    assert batch.seq_lens.tolist() == [10, 0] and batch.slot_mapping.tolist() == [table.slots(9, 10)[0], -1]
    assert isinstance(batch.positions(batch.token_ids), torch.Tensor)


def test_a_block_that_was_exchanged_is_loaded_again():
    """A copied block has another number at the same place of a row."""
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    batch, table = StaticBatch(cache, 1, LONGEST), cache.table()
    cache.extend([table], [6])
    batch.load([3], cache.extend([table], [1]))
    assert batch.block_table[0, :2].tolist() == table.block_ids
    fork = table.fork()
    batch.load([3], cache.extend([fork], [1]))
    assert fork.block_ids[1] != table.block_ids[1] and batch.block_table[0, :2].tolist() == fork.block_ids


def test_what_is_taken():
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    graphs = DecodeGraphs(PagedLoop(model), cache, [1, 2], 8, record=as_it_is, make_batch=TorchBatch)
    tables = [cache.table() for _ in range(3)]
    assert not graphs.takes(cache.extend(tables[:1], [2])), "a prompt"
    assert not graphs.takes(cache.extend(tables, [1, 1, 1])), "too many"
    assert graphs.takes(cache.extend(tables[:2], [1, 1]))
    cache.extend(tables[:1], [3])
    assert graphs.takes(cache.extend(tables[:1], [1])) and not graphs.takes(cache.extend(tables[:1], [1])), "too long"


def test_sizes():
    assert graph_sizes(1) == [1] and graph_sizes(3) == [1, 2, 3] and graph_sizes(32) == [1, 2, 4, 8, 16, 32]
    assert graph_sizes(33) == [1, 2, 4, 8, 16, 32, 33] and graph_sizes(64) == [1, 2, 4, 8, 16, 32, 64]
    assert graph_sizes(256) == [1, 2, 4, 8, 16, *range(32, 257, 32)]
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    for sizes, error in (([], InvalidValue), ([2, 1], InvalidValue), ([1, 1], InvalidValue), ([0], InvalidValue)):
        with pytest.raises(error):
            DecodeGraphs(PagedLoop(model), cache, sizes, 8, record=as_it_is)
    with pytest.raises(InvalidType):
        DecodeGraphs(PagedLoop(model), cache, [1.5], 8, record=as_it_is)


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
