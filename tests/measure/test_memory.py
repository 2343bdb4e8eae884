"""The memory estimate against what running models allocate: by the counter, and by the allocator's own log."""

from types import SimpleNamespace

import pytest
import torch

import minillm as ml
from minillm.attention import paged, pages
from minillm.cache.paged import PagedCache
from minillm.cache.quantized import QuantizedPagedCache
from minillm.errors import InvalidType, InvalidValue
from minillm.measure import attend_memory, cost
from minillm.model.config import ModelConfig
from minillm.model.decoder import Decoder

SIZES = dict(
    vocab_size=1000, hidden_size=96, intermediate_size=256, num_layers=2, num_heads=6, num_kv_heads=2, head_dim=16,
    max_position_embeddings=4096,
)  # fmt: skip
SHAPES = {
    "llama": {},
    "llama, no tie, biases": dict(tie_word_embeddings=False, qkv_bias=True, output_bias=True, mlp_bias=True),
    "llama, MHA": dict(num_kv_heads=6),
    "llama, MQA": dict(num_kv_heads=1),
    "llama, large vocabulary": dict(vocab_size=20_000),
    "llama, narrow feed-forward": dict(intermediate_size=64),
    "llama, few positions": dict(max_position_embeddings=300),
    "mistral": dict(family="mistral", sliding_window=33, sliding_layers=(0, 1)),
    "qwen2": dict(family="qwen2", qkv_bias=True),
    "qwen2, one window": dict(family="qwen2", qkv_bias=True, sliding_window=33, sliding_layers=(1,)),
    "qwen3": dict(family="qwen3", qk_norm=True),
    "qwen3, MHA, narrow": dict(family="qwen3", qk_norm=True, num_kv_heads=6, intermediate_size=32),
}
# Texts, their length, and the tokens of each read at once: a whole prompt, parts of it, a last part, one by one.
TEXTS = [(2, 200, None), (3, 256, 64), (1, 300, 128), (2, 6, 1)]


def config_of(name):
    return ModelConfig(**SIZES | SHAPES[name])


def fill(model, cache, ids, chunk, all_logits=False):
    """Read these ids as an engine does, dropping the logits of each pass."""
    for part in ids.split(chunk, dim=1):
        hidden = model.hidden_states(part, cache)
        model.logits(hidden if all_logits else hidden[:, -1])
        del hidden


def measured(config, batch, length, chunk, dtype, all_logits=False):
    """Bytes of weights, of the cache, and of what else was alive at once, from a model that has not run before."""
    model = Decoder(config).to(dtype)
    ids = torch.zeros(batch, length, dtype=torch.int64)
    with torch.inference_mode():
        cache = model.new_cache(batch, length)
        with ml.count() as c:
            fill(model, cache, ids, chunk or length, all_logits)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return weights, cache.nbytes, c.peak_bytes


def require_near(estimate, weights, cache, rest):
    assert (estimate.weights, estimate.kv_cache) == (weights, cache)
    assert estimate.activations + estimate.workspace == pytest.approx(rest, rel=0.02)
    assert estimate.total == pytest.approx(weights + cache + rest, rel=0.02)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_family_takes_what_is_estimated_whole_in_parts_and_one_by_one(name, dtype):
    for batch, length, chunk in TEXTS:
        found = measured(config_of(name), batch, length, chunk, dtype)
        require_near(cost.estimate_memory(config_of(name), batch, length, dtype=dtype, chunk=chunk), *found)


@pytest.mark.parametrize(("chunk", "peak"), [(None, "logits"), (32, "logits")])
def test_logits_of_every_token_are_counted_when_asked_for(chunk, peak):
    config = config_of("llama, large vocabulary")
    found = measured(config, 2, 96, chunk, torch.float32, all_logits=True)
    estimate = cost.estimate_memory(config, 2, 96, chunk=chunk, all_logits=True)
    require_near(estimate, *found)
    assert estimate.peak == peak
    assert estimate.total > cost.estimate_memory(config, 2, 96, chunk=chunk).total


def allocated(call):
    """The most bytes a call holds at once by the allocator's own log, scratch inside library calls included."""
    profiler = pytest.importorskip("torch.profiler")
    with profiler.profile(activities=[profiler.ProfilerActivity.CPU], profile_memory=True) as log:
        call()
    events = sorted(log.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    now = most = 0
    for event in events:
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize(("batch", "length", "chunk"), [(4, 256, None), (4, 1024, 256)])
def test_the_allocator_agrees(name, batch, length, chunk):
    config = config_of(name)
    ids = torch.zeros(batch, length, dtype=torch.int64)
    with torch.inference_mode():
        # Torch sets itself up on a first pass.
        Decoder(config)(ids[:, :2])
        model, made = Decoder(config), []

        def serve():
            made.append(model.new_cache(batch, length))
            fill(model, made[0], ids, chunk or length)

        most = allocated(serve)
    estimate = cost.estimate_memory(config, batch, length, chunk=chunk)
    assert estimate.total - estimate.weights == pytest.approx(most, rel=0.02)


def test_a_bundled_model_and_plain_numbers():
    model = ml.load_model("tiny")
    plain = SimpleNamespace(**{name: getattr(model.config, name) for name in SIZES})
    plain.tie_word_embeddings = True
    estimate = cost.estimate_memory(plain, 1, 256)
    assert estimate == cost.estimate_memory(model.config, 1, 256, dtype=model.dtype)
    assert estimate.weights == 4 * model.num_parameters()
    assert estimate.kv_cache == model.new_cache(1, 256).nbytes


def test_parts_of_a_prompt_take_less_than_the_whole_and_more_texts_more():
    config = ml.model.KNOWN_CONFIGS["Llama-3.1-8B"]
    whole, parts, more = (
        cost.estimate_memory(config, batch, 32_768, dtype="bfloat16", chunk=chunk)
        for batch, chunk in ((1, None), (1, 512), (2, 512))
    )
    assert whole.weights == parts.weights == 16_060_522_496 and whole.kv_cache == parts.kv_cache == 4 * 2**30
    assert parts.activations < whole.activations / 40
    assert more.kv_cache == 2 * parts.kv_cache and more.activations > parts.activations


def test_a_paged_cache_rounds_up_to_blocks_and_keeps_what_is_shared_once():
    config = config_of("llama")
    token = 2 * 2 * 2 * 16 * 4
    slots = [
        cost.estimate_memory(config, 3, 50, block_size=size, shared=shared).kv_cache / token
        for size, shared in ((16, 0), (50, 0), (16, 15), (16, 16), (16, 49))
    ]
    assert slots == [3 * 64, 150, 3 * 64, 16 + 3 * 48, 48 + 3 * 16]


def scattered(cache):
    """The pool's blocks in an order of their own, as they lie once a server has run for a while."""
    ids = cache.pool.allocate(cache.pool.num_blocks)
    cache.pool.free(ids[::2] + ids[1::2])
    return cache


def measured_in_pages(config, batch, length, chunk, block_size, dtype, stored=None):
    """As `measured`, over a paged cache of just as many blocks as the texts need."""
    model = Decoder(config).to(dtype)
    blocks = batch * -(-length // block_size)
    sizes = (config.num_layers, blocks, block_size, config.num_kv_heads, config.head_dim)
    ids = torch.zeros(batch, length, dtype=torch.int64)
    with torch.inference_mode(), ml.count() as c:
        made = QuantizedPagedCache(*sizes, stored=stored, dtype=dtype) if stored else PagedCache(*sizes, dtype=dtype)
        cache = scattered(made)
        tables = [cache.table() for _ in range(batch)]
        for part in ids.split(chunk or length, dim=1):
            now = cache.extend(tables, [part.shape[1]] * batch)
            hidden = now.last_rows(model.hidden_states(part.flatten(), now))
            model.logits(hidden)
            del hidden, now
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return weights, cache.nbytes, c.peak_bytes - cache.nbytes


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2, one window", "qwen3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pages_take_what_is_estimated(name, dtype):
    for batch, length, chunk in TEXTS:
        found = measured_in_pages(config_of(name), batch, length, chunk, 16, dtype)
        estimate = cost.estimate_memory(config_of(name), batch, length, dtype=dtype, chunk=chunk, block_size=16)
        require_near(estimate, *found)


def test_angles_are_gathered_for_packed_texts():
    thin = dict(hidden_size=32, intermediate_size=16, num_heads=2, num_kv_heads=1, head_dim=64, vocab_size=50)
    config = config_of("llama").with_(**thin)
    found = measured_in_pages(config, 8, 256, None, 16, torch.float32)
    require_near(cost.estimate_memory(config, 8, 256, block_size=16), *found)


@pytest.mark.parametrize("chunk", [16, 128])
def test_long_texts_are_walked_over_or_fetched_whole(chunk):
    config = config_of("llama").with_(num_heads=16, num_kv_heads=8, head_dim=128, num_layers=1)
    weights, cache, rest = measured_in_pages(config, 1, 1024, chunk, 64, torch.float32)
    estimate = cost.estimate_memory(config, 1, 1024, chunk=chunk, block_size=64)
    assert estimate.total == pytest.approx(weights + cache + rest, rel=0.02)


@pytest.mark.parametrize("stored", ["int8", "fp8"])
@pytest.mark.parametrize(("length", "chunk"), [(80, None), (80, 64), (16, 1)])
def test_eight_bits_take_what_is_estimated(stored, length, chunk):
    found = measured_in_pages(config_of("llama"), 2, length, chunk, 16, torch.float32, stored)
    estimate = cost.estimate_memory(config_of("llama"), 2, length, chunk=chunk, block_size=16, kv_dtype=stored)
    require_near(estimate, *found)
    assert estimate.kv_cache == 2 * length * 2 * 2 * 2 * (16 + 4)


@pytest.mark.parametrize("name", ["mistral", "qwen2, one window"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "length", "chunk"), [*TEXTS, (2, 300, 20)])
def test_a_ring_takes_what_is_estimated_and_stays_flat(name, dtype, batch, length, chunk):
    config, new_cache = config_of(name), Decoder.new_cache
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "new_cache", Decoder.new_ring_cache)
        weights, cache, rest = measured(config, batch, length, chunk, dtype)
    assert Decoder.new_cache is new_cache
    estimate = cost.estimate_memory(config, batch, length, dtype=dtype, chunk=chunk, ring=True)
    require_near(estimate, weights, cache, rest)
    if name == "mistral":
        assert estimate.kv_cache == cost.estimate_memory(config, batch, 4096, dtype=dtype, ring=True).kv_cache


@pytest.mark.parametrize("chunk", [8, 100])
def test_what_a_ring_copies_is_counted_where_it_is_the_most(chunk):
    wide = dict(sliding_window=200, sliding_layers=(0, 1), num_kv_heads=6, intermediate_size=16, vocab_size=50)
    config = config_of("mistral").with_(**wide)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "new_cache", Decoder.new_ring_cache)
        found = measured(config, 4, 300, chunk, torch.float32)
    estimate = cost.estimate_memory(config, 4, 300, chunk=chunk, ring=True)
    require_near(estimate, *found)
    assert estimate.peak in ("prepare", "attend") and estimate.workspace > estimate.activations / 2


@pytest.mark.parametrize("name", ["llama", "qwen2, one window"])
def test_rows_of_different_lengths_take_what_is_estimated(name):
    config, batch, length = config_of(name), 6, 100
    model, ids = Decoder(config), torch.zeros(6, 100, dtype=torch.int64)
    with torch.inference_mode():
        cache = model.new_cache(batch, length)
        model(ids[:, :-1], cache)
        cache.truncate([length - 1 - row for row in range(batch)])
        with ml.count() as c:
            fill(model, cache, ids[:, :1], 1)
    estimate = cost.estimate_memory(config, batch, length, chunk=1, ragged=True)
    high = max(moment.total for moment in estimate.moments if moment.name != "angles")
    # The table of angles was there already.
    assert high - 2 * 256 * 16 * 4 == pytest.approx(c.peak_bytes, rel=0.05)


def test_the_buffers_assumed_are_those_of_paged_attention():
    theirs = (pages.TILE_BYTES, paged.SCORE_BYTES, paged.FEW_QUERIES)
    assert theirs == (attend_memory.TILE_BYTES, attend_memory.SCORE_BYTES, attend_memory.FEW_QUERIES)


def test_it_prints_as_a_table():
    estimate = cost.MemoryEstimate(4000, 3000, 2000, 1000, "logits")
    assert repr(estimate).splitlines() == [
        "weights                4,000 B   40%",
        "KV cache               3,000 B   30%",
        "activations (logits)   2,000 B   20%",
        "workspace              1,000 B   10%",
        "total                 10,000 B  100%",
    ]


@pytest.mark.parametrize(
    ("changes", "options", "error", "words"),
    [
        ({}, dict(batch=0), InvalidValue, "batch must be at least 1"),
        ({}, dict(length=2.5), InvalidType, "length must be a whole number"),
        ({}, dict(length=4097), InvalidValue, "at most 4096 positions; got a length of 4097"),
        ({}, dict(chunk=0), InvalidValue, "chunk"),
        ({}, dict(block_size=-1), InvalidValue, "block_size"),
        ({}, dict(shared=8), InvalidValue, "needs a paged cache"),
        ({}, dict(shared=65, block_size=16), InvalidValue, "within the length, 64"),
        ({}, dict(dtype="bf16"), InvalidValue, "unknown dtype 'bf16'"),
        ({}, dict(dtype="int8"), InvalidValue, "unknown dtype 'int8'"),
        ({}, dict(kv_dtype="int4"), InvalidValue, r"unknown kv_dtype 'int4' \(did you mean 'int8'\?\)"),
        ({}, dict(kv_dtype="int8"), InvalidValue, "a cache in 8 bits is paged"),
        ({}, dict(ring=True), InvalidValue, "a ring needs layers with a window"),
        ({}, dict(ragged=True, block_size=16), InvalidValue, "pages and ragged; choose one"),
        (dict(num_kv_heads=5), {}, InvalidValue, "6 and 5; nearest valid num_kv_heads: 3 or 6"),
        (dict(num_layers=0), {}, InvalidValue, "num_layers"),
        (dict(head_dim="16"), {}, InvalidType, "head_dim"),
        ({}, dict(ring="no"), InvalidType, "ring must be True or False; got 'no'"),
        ({}, dict(ragged=1), InvalidType, "ragged must be True or False; got 1"),
        ({}, dict(all_logits=None), InvalidType, "all_logits must be True or False; got None"),
        (dict(sliding_window=-3, sliding_layers=(0,)), {}, InvalidValue, "sliding_window must be at least 1; got -3"),
        (dict(sliding_window="4", sliding_layers=(0,)), {}, InvalidType, "sliding_window must be a whole number"),
        (dict(sliding_window=4, sliding_layers=3), {}, InvalidType, "sliding_layers must be numbers of layers; got 3"),
        (dict(sliding_window=4, sliding_layers=None), dict(ring=True), InvalidValue, "a ring needs layers"),
        (dict(max_position_embeddings="many"), {}, InvalidType, "max_position_embeddings must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, options, error, words):
    config = SimpleNamespace(**SIZES | changes)
    with pytest.raises(error, match=words):
        cost.estimate_memory(config, **dict(batch=1, length=64) | options)


def test_what_is_no_configuration_is_refused_by_what_it_lacks():
    with pytest.raises(InvalidType, match="one without hidden_size"):
        cost.estimate_memory(SimpleNamespace(**{n: v for n, v in SIZES.items() if n != "hidden_size"}), 1, 1)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(("batch", "length"), [(4, 2048), (64, 256)])
def test_a_gpu_allocates_what_is_estimated(name, batch, length):
    wide = dict(vocab_size=32_000, hidden_size=1024, intermediate_size=2816, num_heads=16, num_kv_heads=4, head_dim=64)
    config = ModelConfig(**SIZES | SHAPES[name] | wide)
    ids = torch.zeros(batch, length, dtype=torch.int64, device="cuda")
    with torch.inference_mode(), torch.device("cuda"):
        fill(warm := Decoder(config).bfloat16(), warm.new_cache(batch, length), ids, length)
        del warm  # what the libraries have set aside for themselves stays, and is no model's
        before = torch.cuda.memory_allocated()
        model = Decoder(config).bfloat16()
        torch.cuda.reset_peak_memory_stats()
        fill(model, model.new_cache(batch, length), ids, length)
        most = torch.cuda.max_memory_allocated() - before
    assert cost.estimate_memory(config, batch, length, dtype="bfloat16").total == pytest.approx(most, rel=0.05)
