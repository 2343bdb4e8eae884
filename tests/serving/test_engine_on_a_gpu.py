"""An engine on a GPU writes the model's own texts: by compiled kernels, in 16, 32 and 64 bits, with recorded steps or without.

Every test also runs on the processor, where torch attends and nothing is recorded, so that a GPU's hour is not spent on the
test's own mistakes.
"""

from copy import deepcopy
from functools import cache

import pytest
import torch
from paged_cases import make_case
from static_batches import padded_steps

import minillm as ml
from minillm.errors import Unsupported
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.paged_attention import paged_attention
from minillm.kernels.runtime import mode
from minillm.model import Decoder, ModelConfig
from minillm.serving.engine import LLMEngine
from minillm.serving.runner import PagedLoop
from minillm.serving.sampling_params import SamplingParams

CONFIG = ModelConfig(500, 128, 256, 3, 8, 2, 64, 512, "qwen3", qk_norm=True)
DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
# By dtype: how far a token may be behind the best, in standard deviations of the scores.
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-2, torch.bfloat16: 0.5}
on_device = pytest.mark.parametrize("device", DEVICES)
in_every_dtype = pytest.mark.parametrize("dtype", CLOSE, ids=str)


@cache
def decoder(device, dtype, window=False):
    """A random decoder whose texts depend on all of their context."""
    config = CONFIG.with_(sliding_window=20, sliding_layers=(0, 2)) if window else CONFIG
    model, drawn = Decoder(config), torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            scale = 0.05 if "embed" in name else (2.0 if "qkv" in name else 1.0) * weight.shape[1] ** -0.5
            weight.data.copy_(torch.randn(weight.shape, generator=drawn) * scale)
    return deepcopy(model).to(device=device, dtype=dtype).requires_grad_(False)


def prompts(count=6):
    """Ragged prompts, every second with the beginning of the first."""
    drawn = torch.Generator().manual_seed(1)
    texts = [torch.randint(0, 500, (9 + 7 * i,), generator=drawn).tolist() for i in range(count)]
    return [texts[0][:8] + text if i % 2 else text for i, text in enumerate(texts)]


def engine_of(model, *, padded=False, **options):
    """A small engine in which memory is short; `padded`: with decode steps that were recorded, where they can be."""
    settings = dict(
        block_size=4, num_blocks=44, max_num_seqs=6, max_num_batched_tokens=32, max_model_len=128, check=True
    )
    engine = LLMEngine(model, **settings | options)
    if padded:
        engine.worker.graphs = padded_steps(engine.worker.loop, engine.cache, 6, 128)
    return engine


def write_all(engine, asked, params):
    names = [engine.add_request(prompt, params) for prompt in asked]
    while engine.has_unfinished:
        engine.step()
    outputs = [engine.output(name) for name in names]
    assert not any(out.error for out in outputs), [out.error for out in outputs]
    return outputs


@torch.no_grad()
def behind(model, prompt, text):
    """How far a text's tokens are behind the best of the model's plain pass over it, at worst."""
    ids = torch.tensor([[*prompt, *text[:-1]]], device=model.device)
    scores = model(ids)[0, len(prompt) - 1 :].double()
    chosen = scores.gather(1, torch.tensor(list(text), device=model.device)[:, None])[:, 0]
    return float(((scores.amax(-1) - chosen) / scores.std(-1)).max())


@on_device
@in_every_dtype
@pytest.mark.parametrize("window", [False, True], ids=["whole", "window"])
@pytest.mark.parametrize("padded", [False, True], ids=["eager", "padded"])
def test_greedy_texts_are_the_models_own(device, dtype, window, padded):
    """Chunked prompts, preemption, two texts a prompt, prompts found again: whatever happens, the best token is taken."""
    model = decoder(device, dtype, window)
    if padded and device == "cuda" and dtype == torch.float64:
        pytest.skip("the kernels have no float64, so nothing is recorded in it")
    engine = engine_of(model, padded=padded)
    params = SamplingParams(temperature=0, n=2, max_tokens=20, ignore_eos=True)
    for round_number in range(2):
        outputs = write_all(engine, prompts(), params)
        for prompt, out in zip(prompts(), outputs, strict=True):
            for one in out.outputs:
                assert len(one.token_ids) == 20
                assert behind(model, prompt, one.token_ids) <= CLOSE[dtype], f"round {round_number}"
    assert engine.metrics.preemptions.value > 0 and engine.worker.num_failed_passes == 0
    assert sum(out.num_cached_tokens for out in outputs) > 0
    assert engine.cache.pool.num_free == engine.cache.pool.num_blocks


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_in_64_bits_a_gpu_writes_what_a_processor_writes(temperature):
    """Noise is a number's hash: it is the same everywhere."""
    params = SamplingParams(temperature=temperature, top_p=0.95, seed=5, max_tokens=16, ignore_eos=True)
    texts = []
    for device in ("cpu", "cuda"):
        outputs = write_all(engine_of(decoder(device, torch.float64)), prompts(), params)
        texts.append([out.outputs[0].token_ids for out in outputs])
    assert texts[0] == texts[1]


@on_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_recorded_step_is_the_step(device, dtype):
    """Every size, more and fewer texts in turn, and after memory that nobody holds has been given to somebody else."""
    model = decoder(device, dtype)
    loop, other = PagedLoop(model), PagedLoop(model)
    ours, theirs = (model.new_paged_cache(80, 4) for _ in range(2))
    graphs = padded_steps(loop, ours, 6, 64)
    allowed = 1e-3 if dtype == torch.float32 else 0.05
    for turn, count in enumerate((3, 6, 1, 5, 2)):
        tables = [[kept.table() for _ in range(count)] for kept in (ours, theirs)]
        lengths = [5 + 9 * (row + turn) % 40 for row in range(count)]
        ids = torch.arange(sum(lengths), device=device) * 11 % 500
        for runner, kept, mine in zip((loop, other), (ours, theirs), tables, strict=True):
            runner.step(ids, kept.extend(mine, lengths))
        for step in range(3):
            new = [(17 * row + step) % 500 for row in range(count)]
            got = graphs.step(new, ours.extend(tables[0], [1] * count)).float().clone()
            want = other.step(torch.tensor(new, device=device), theirs.extend(tables[1], [1] * count)).float()
            assert ((got - want).norm(dim=-1) / want.norm(dim=-1)).max() <= allowed, (turn, step)
        for table in (*tables[0], *tables[1]):
            table.free()
        # Longer texts make the tables of angles anew; what the old ones lay in is filled with something else.
        loop._read_rotary(128 * (turn + 1) if turn < 4 else 512)
        if device == "cuda":
            torch.cuda.empty_cache()
        del ids
        litter = [torch.full((n,), float("nan"), device=device) for n in (2**10, 2**14, 2**18) for _ in range(8)]
        del litter


@on_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_pass_is_never_waited_for(device, dtype):
    """From ids and indices on the device to scores: the host orders and goes on."""
    model = decoder(device, dtype, window=True)
    loop, kept = PagedLoop(model), model.new_paged_cache(60, 4)
    tables = [kept.table() for _ in range(3)]
    for counts in ([9, 14, 5], [1, 1, 1], [1, 12, 1], [1, 1, 1]):
        batch = kept.extend(tables, counts)
        ids = torch.arange(sum(counts), device=device)
        rows = torch.tensor([0, 2], device=device)
        for name in ("block_table", "seq_lens", "query_start_loc", "slot_mapping", "token_positions"):
            getattr(batch, name)
        loop.step(ids, batch)  # compiles, the first time; what it writes it writes again
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            loop.step(ids, batch)
            loop.step(ids, batch, rows)
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(
            "cpu", marks=pytest.mark.skipif(mode().name != "interpreter", reason="needs Triton's interpreter")
        ),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ],
)
def test_with_pinned_tiles_and_runs_company_changes_no_bit(device):
    """The rule that chooses runs counts texts, and mixed passes have tiles of their own; pinned, a text's bits are its own."""
    texts = ((1, 70), (1, 18), (5, 33), (1, 64))
    case = make_case(texts, H=4, G=2, D=16, dtype=torch.float32)
    call = [x.to(device) if isinstance(x, torch.Tensor) else x for x in case.call]
    q, k, v, table, lengths, starts, _ = call
    pinned = {"num_splits": 3, "tiles": Tiles(16, 32)}
    together = paged_attention(q, k, v, table, lengths, starts, 5, **pinned)
    for b, (L, _) in enumerate(texts):
        first = int(starts[b])
        alone = paged_attention(
            q[first : first + L], k, v, table[b : b + 1], lengths[b : b + 1],
            torch.tensor([0, L], dtype=torch.int32, device=device), 5, **pinned,
        )  # fmt: skip
        assert torch.equal(alone, together[first : first + L]), f"text {b}"


@on_device
def test_recording_is_refused_where_it_cannot_be(device):
    with pytest.raises(Unsupported, match="leave cuda_graphs off"):
        LLMEngine(decoder(device, torch.float64), num_blocks=8, cuda_graphs=True)


@pytest.mark.gpu
def test_an_engine_leaves_memory_for_others():
    """Blocks by default: no more than four fifths of what is free, and recorded steps still find room."""
    model = decoder("cuda", torch.bfloat16)
    free, _ = torch.cuda.mem_get_info()
    engine = LLMEngine(model, max_num_seqs=8, cuda_graphs=True)
    assert engine.cache.nbytes <= 0.8 * free and engine.worker.graphs is not None
    write_all(engine, prompts(), SamplingParams(temperature=0, max_tokens=8, ignore_eos=True))


@on_device
def test_the_bundled_model_answers(device):
    [out] = ml.LLM("tiny", device=device).generate("def read(", ml.SamplingParams(temperature=0, max_tokens=8))
    assert out.outputs[0].token_ids and out.outputs[0].finish_reason in ("stop", "length") and out.error is None
