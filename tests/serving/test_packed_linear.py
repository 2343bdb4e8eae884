"""Weights laid out anew give what they gave: every layout, any number of rows, every family, and the model as it was."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from cached_texts import FAMILIES, decoder, relative, text

import minillm as ml
from minillm.errors import InvalidValue, Unsupported
from minillm.model import Decoder
from minillm.serving.compute import huge_pages, packed_linear, plain_decoder
from minillm.serving.compute.packed_linear import CACHED_BYTES, COPIED, LAYOUTS, choose_layout, runs
from minillm.serving.compute.plain_decoder import PlainDecoder
from minillm.serving.engine import LLMEngine
from minillm.serving.runner import DecodeLoop, PagedLoop

CPU = torch.device("cpu")
HERE = [name for name in LAYOUTS if runs(name)]
# A float32 product of 96 terms; 16-bit weights round each term, bfloat16 the result too.
ALLOWED = {"packed float16": 1e-3, "packed bfloat16": 1e-2, "compiled bfloat16": 1e-2}


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 33])
@pytest.mark.parametrize("name", HERE)
def test_every_layout_multiplies_by_the_weight(name, rows, bias):
    random = torch.Generator().manual_seed(rows)
    weight, x = torch.randn(80, 96, generator=random), torch.randn(rows, 96, generator=random)
    shift, total = (torch.randn(n, 80, generator=random) for n in (1, rows))
    linear = LAYOUTS[name](weight, shift[0] if bias else None)
    want = F.linear(x.double(), weight.double()) + (shift.double() if bias else 0)
    more = want + total  # now: the sum may lie where total was
    for got, exact in ((linear(x), want), (linear.add(total, x), more)):
        assert got.dtype == torch.float32 and got.shape == exact.shape
        assert not rows or relative(got, exact) <= ALLOWED.get(name, 1e-6)


@pytest.mark.parametrize(
    ("size", "dtype", "free", "want"),
    [
        (CACHED_BYTES, torch.float32, 1e12, ("compiled", "packed or transposed")),
        (CACHED_BYTES + 1, torch.float32, 1e12, ("compiled", "packed")),
        (CACHED_BYTES, torch.float32, 2 * CACHED_BYTES - 1, ("compiled", "plain")),
        (CACHED_BYTES + 1, torch.float32, CACHED_BYTES, ("plain", "plain")),
        (CACHED_BYTES, torch.float64, 1e12, ("plain", "plain")),
        (CACHED_BYTES, torch.bfloat16, 1e12, ("plain", "plain")),
    ],
)
def test_auto_is_the_quickest_that_fits_and_runs(size, dtype, free, want, monkeypatch):
    """With a C compiler, without, and where torch cannot pack either."""
    monkeypatch.setattr(packed_linear, "uses_all_threads", lambda name: True)
    for unable, best in zip(((), ("compiled",)), want, strict=True):
        monkeypatch.setattr(packed_linear, "runs", lambda name, unable=unable: name not in unable)
        assert choose_layout("auto", size, dtype, CPU, free) == best
        assert choose_layout("auto", size, dtype, torch.device("meta"), free) == "plain"
    monkeypatch.setattr(packed_linear, "runs", lambda name: True)
    monkeypatch.setattr(packed_linear, "uses_all_threads", lambda name: name != "compiled")
    assert choose_layout("auto", size, dtype, CPU, free) == want[1]
    monkeypatch.setattr(packed_linear, "runs", lambda name: False)
    assert choose_layout("auto", size, dtype, CPU, free) == "plain"


def test_a_layout_that_is_asked_for_by_name_is_had_or_refused(monkeypatch):
    assert choose_layout("packed", 2**40, torch.float32, CPU, 0) == "packed"
    with pytest.raises(InvalidValue, match=r"unknown layout of weights 'pakced' .*'packed'.*known: auto, plain"):
        choose_layout("pakced", 1, torch.float32, CPU, 1e12)
    with pytest.raises(Unsupported, match=r"got torch\.float64 on cpu; use 'auto'"):
        choose_layout("packed", 1, torch.float64, CPU, 1e12)
    monkeypatch.setattr(packed_linear, "runs", lambda name: False)
    with pytest.raises(Unsupported, match="'packed float16'"):
        choose_layout("packed float16", 1, torch.float32, CPU, 1e12)


def test_a_torch_that_cannot_pack_is_found_out(monkeypatch):
    def missing(weight, bias):
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")

    for broken in (missing, lambda weight, bias: lambda x: F.linear(x, weight).roll(1)):
        monkeypatch.setitem(LAYOUTS, "packed", broken)
        assert not runs.__wrapped__("packed")


@pytest.mark.parametrize("layout", HERE)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_computes_the_same_on_any_layout(name, layout):
    """A prompt, then single tokens, then two texts at once: products of many rows, of one and of two."""
    model = Decoder(FAMILIES[name])
    model.load_state_dict(decoder(name).state_dict())
    cache, twin = (model.new_paged_cache(20, 4, check=True) for _ in range(2))
    ours, theirs = (c.table() for c in (cache, twin))
    loop, ids = PagedLoop(model, layout), text(20)[0]
    allowed = {"packed float16": 5e-3, "packed bfloat16": 5e-2, "compiled bfloat16": 5e-2}.get(layout, 1e-5)
    for part in ids.split((9, 1, 1, 7, 2)):
        got = loop.step(part, cache.extend([ours], [len(part)]), torch.arange(len(part)))
        with torch.no_grad():
            want = model(part, twin.extend([theirs], [len(part)]))
        assert relative(got, want) <= allowed
    pairs = [(c, [table, table.fork()]) for c, table in ((cache, ours), (twin, theirs))]
    batches = [c.extend(tables, [1, 1]) for c, tables in pairs]
    with torch.no_grad():
        assert relative(loop.step(ids[:2], batches[0]), model(ids[:2], batches[1])) <= allowed


@pytest.mark.parametrize("name", FAMILIES)
def test_a_norm_multiplied_into_a_matrix_changes_nothing(name):
    model = decoder(name)
    cache, twin = model.new_cache(1, 8), model.new_cache(1, 8)
    loop = DecodeLoop(model, cache, "transposed")
    assert loop.plain.norm.weight is None
    for token in text(6)[0].view(-1, 1, 1):
        assert relative(loop.step(token), model(token, twin)[:, -1]) <= 1e-12


def test_the_model_stays_whole():
    model = Decoder(FAMILIES["qwen3"])
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    plain = PlainDecoder(model, "auto")
    assert plain.layout != "plain" or not (runs("packed") or runs("compiled"))
    after = model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    model(text(4)).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("layout", HERE)
def test_what_a_layout_costs_in_memory_is_said(layout):
    model = Decoder(FAMILIES["llama mha"])  # untied, so the embedding is no matrix
    matrices = sum(w.nbytes for name, w in model.named_parameters() if w.dim() == 2 and "embed" not in name)
    assert PlainDecoder(model, layout).bytes_copied == COPIED[layout] * matrices
    tied = Decoder(FAMILIES["llama"])
    assert PlainDecoder(tied, "transposed").bytes_copied == sum(p.nbytes for p in tied.parameters() if p.dim() == 2)


def test_weights_are_packed_once_and_again_when_they_change():
    model = Decoder(FAMILIES["llama"])
    first = plain_decoder.plain_decoder(model)
    assert PagedLoop(model).plain is first and DecodeLoop(model, model.new_cache(1, 4)).plain is first
    assert PagedLoop(model, "plain").plain is not first
    with torch.no_grad():
        model.layers[1].mlp.down_proj.weight.mul_(2)
    changed = PagedLoop(model)
    assert changed.plain is not first
    want = PagedLoop(model, "plain")
    cache = model.new_paged_cache(4, 4)
    batch = cache.extend([cache.table()], [3])
    assert relative(changed.step(text(3)[0], batch), want.step(text(3)[0], batch)) <= 1e-5
    model.to(torch.float64)
    assert PagedLoop(model).plain.embedding.dtype == torch.float64


def test_a_model_that_nobody_has_any_more_is_let_go():
    model = Decoder(FAMILIES["llama"])
    PagedLoop(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("packed", [False, True])
def test_large_pages_change_no_number_and_no_place(packed, monkeypatch):
    """5 MB that begin anywhere, with what lies before and behind them."""
    told = []
    real = huge_pages._madvise()
    monkeypatch.setattr(huge_pages, "_madvise", lambda: lambda *a: told.append(a) or (real(*a) if real else 0))
    memory = torch.randn(1400, 1000)
    kept, weight, small = memory.clone(), memory[7:1307], memory[:300]
    place, size = weight.data_ptr(), weight.nbytes
    if packed and runs("packed"):
        weight = torch.ops.mkldnn._reorder_linear_weight.default(weight.contiguous())
        place, size = torch.ops.mkldnn.data_ptr(weight), torch.ops.mkldnn._nbytes(weight)
    assert huge_pages.hold_in_huge_pages(weight) is weight
    assert torch.equal(memory, kept)
    for start, count, _ in told:
        assert place <= start and start + count <= place + size and start % 4096 == count % 4096 == 0
    assert len(told) == 2 and huge_pages.hold_in_huge_pages(small) is small and len(told) == 2


def test_where_nobody_knows_large_pages_nothing_happens(monkeypatch):
    monkeypatch.setattr(huge_pages.sys, "platform", "darwin")
    huge_pages._madvise.cache_clear()
    try:
        weight = torch.ones(2000, 1000)
        assert huge_pages.hold_in_huge_pages(weight) is weight
        assert huge_pages.hold_in_huge_pages(torch.ones(2000, 1000, device="meta")).is_meta
    finally:
        huge_pages._madvise.cache_clear()


@pytest.mark.parametrize("weights", ["plain", "transposed", *(name for name in HERE if name == "packed")])
def test_an_engine_runs_on_the_layout_it_is_told(weights):
    model, params = ml.load_model("tiny"), ml.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)
    engine = LLMEngine(model, num_blocks=8, weights=weights)
    assert engine.worker.loop.plain.layout == weights
    name = engine.add_request([5, 6, 7, 8], params)
    while engine.has_unfinished:
        engine.step()
    ids = [5, 6, 7, 8]
    for _ in range(12):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert engine.output(name).outputs[0].token_ids == tuple(ids[4:])


def test_an_engine_refuses_a_layout_that_is_unknown_or_not_its_models():
    with pytest.raises(InvalidValue, match="did you mean 'packed'"):
        LLMEngine(ml.load_model("tiny"), num_blocks=8, weights="packd")
    with pytest.raises(Unsupported, match=r"torch\.bfloat16"):
        LLMEngine(ml.load_model("tiny", dtype="bfloat16"), num_blocks=8, weights="packed")
