"""How long one step of the engine takes, on a grid of what it computes: texts that write, pieces of prompts, and both at once.

A step makes room in the tables, runs the ragged pass over a paged cache, and takes the likeliest token of each text. What
the scheduler costs is measured apart, in `scheduling.py`. `minillm.measure.step_cost` makes a formula of these rows, and
the serving lab's virtual clock runs on that formula. On a GPU the model is larger, and so are the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

import torch

import minillm as ml
from minillm.cache import PagedCache
from minillm.cache.paged_batch import make_batch
from minillm.measure import Measurement, Timing, time_call
from minillm.measure.step_cost import OPERATOR, StepWork, shape_of
from minillm.model import KNOWN_CONFIGS, Decoder, ModelConfig
from minillm.serving.compute.plain_decoder import layout_of
from minillm.serving.runner import PagedLoop

BLOCK_SIZE = 16
LLAMA = ModelConfig(1024, 512, 1408, 8, 8, 2, 64, max_position_embeddings=2048)  # 24 million weights
GPU_MODELS, GPU_TIMES, GPU_TOKENS = ("Qwen3-0.6B",), 8, 2**17
Shares = tuple[tuple[int, int], ...]  # (where it starts, new tokens) of each text


def grid(on_gpu: bool = False) -> list[Shares]:
    """The steps to time: writing alone, prompts alone, and prompts beside texts that write.

    On a GPU texts and prompts are 8 times as long, and there are up to 256 texts, as far as 131,072 tokens are kept in all.
    """
    if on_gpu:
        larger = [tuple((GPU_TIMES * at, new if new == 1 else GPU_TIMES * new) for at, new in one) for one in grid()]
        crowds = [((length, 1),) * texts for texts in (128, 256) for length in (127, 511, 1023)]
        return [one for one in [*larger, *crowds] if sum(at + new for at, new in one) <= GPU_TOKENS]
    writing = [((length, 1),) * texts for texts in (1, 2, 4, 8, 16, 32, 64) for length in (31, 255, 895)][:-1]
    reading = [((start, new),) for new in (8, 16, 32, 64, 128, 256, 512) for start in (0, 256, 512)]
    several = [((0, new),) * texts for texts, new in ((2, 64), (4, 32), (4, 128), (8, 16), (8, 64))]
    both = [
        ((start, new), *((length, 1),) * texts)
        for texts, length in ((4, 100), (8, 200), (16, 300), (32, 150))
        for new, start in ((24, 0), (56, 128), (120, 0), (248, 512), (480, 0))
    ]
    return [*writing, *reading, *several, *both]


def engine_steps(
    *, threads: Sequence[int], models: Sequence[str] = ("tiny", "llama"), quick: bool = False
) -> list[Measurement]:
    """Seconds a step on the processor, by model and number of threads; the caller's number is set again afterwards."""
    before, rows = torch.get_num_threads(), []
    try:
        for name in models:
            model = _model(name)
            for number in threads:
                torch.set_num_threads(number)
                options = {"model": _label(name, model), "threads": number}
                rows += _walk(model, grid(), options, quick)
    finally:
        torch.set_num_threads(before)
    return rows


def gpu_steps(*, models: Sequence[str] = GPU_MODELS, device: str = "cuda", quick: bool = False) -> list[Measurement]:
    """Seconds a step of known shapes with random weights, in bfloat16 on a GPU."""
    rows = []
    for name in models:
        torch.manual_seed(0)
        model = Decoder(KNOWN_CONFIGS[name]).to(device=device, dtype=torch.bfloat16).requires_grad_(False)
        rows += _walk(model, grid(on_gpu=True), {"model": _label(name, model)}, quick)
    return rows


def in_words(row: Measurement) -> str:
    """One line for a row."""
    shape = " ".join(f"{name} {size}" for name, size in row.shape.items())
    threads = f", {row.options['threads']} threads" if "threads" in row.options else ""
    return f"{row.operator}, {row.options['model']}, {row.dtype}{threads}, {shape}: {1e3 * row.p50:.3f} ms"


@contextmanager
def step_call(loop: PagedLoop, cache: PagedCache, shares: Shares) -> Iterator[Callable[[], torch.Tensor]]:
    """A step as a call -> the token (B,) chosen for each text, the same at every call."""
    counts = [new for _, new in shares]
    tables = [cache.table() for _ in shares]
    for table, (start, _) in zip(tables, shares, strict=True):
        table.append(start)
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(0, loop.model.config.vocab_size, (sum(counts),), generator=drawn).to(cache.device)

    def step() -> torch.Tensor:
        for table, new in zip(tables, counts, strict=True):
            table.append(new)
        chosen = loop.step(ids, make_batch(cache, tables, counts)).argmax(dim=-1)
        for table, (start, _) in zip(tables, shares, strict=True):
            table.truncate(start)
        return chosen

    yield step
    for table in tables:
        table.free()


def filled_cache(model: Decoder, steps: Sequence[Shares]) -> PagedCache:
    """Room for the largest step, full of random keys and values, its blocks in random order as after a long day."""
    most = max(sum(-(-(start + new) // BLOCK_SIZE) for start, new in shares) for shares in steps)
    cache = model.new_paged_cache(most, BLOCK_SIZE)
    for x in (cache.k, cache.v):
        x.normal_(generator=torch.Generator(cache.device).manual_seed(0))
    blocks = cache.pool.allocate(most)
    Random(0).shuffle(blocks)
    for block in blocks:
        cache.pool.free([block])
    return cache


def _walk(model: Decoder, steps: Sequence[Shares], options: dict[str, str | int], quick: bool) -> list[Measurement]:
    """A row a step. The steps are walked several times, in another order each time, and a step's lowest median is kept: what
    else a machine was doing for a moment is not the engine's."""
    options = options | {"weights": layout_of(model)}
    order, best, draw = list(steps), dict[Shares, Timing](), Random(0)
    cache, loop = filled_cache(model, steps), PagedLoop(model)
    for _ in range(2 if quick else 6):
        draw.shuffle(order)
        for shares in order:
            with step_call(loop, cache, shares) as step:
                timing = time_call(step, min_seconds=0.02 if quick else 0.1)
            if shares not in best or timing.p50 < best[shares].p50:
                best[shares] = timing
    return [
        Measurement(
            operator=OPERATOR, backend="PagedLoop", dtype=str(model.dtype).removeprefix("torch."),
            shape=shape_of(StepWork.of(shares, rows=len(shares))),
            p20=timing.p20, p50=timing.p50, p80=timing.p80, runs=timing.runs, options=options,
        )
        for shares, timing in ((shares, best[shares]) for shares in steps)
    ]  # fmt: skip


def _model(name: str) -> Decoder:
    """The bundled model, or a Llama of random weights: a step's time does not depend on their values."""
    if name == "tiny":
        return ml.load_model("tiny", dtype=torch.float32).requires_grad_(False)
    torch.manual_seed(0)
    return Decoder(LLAMA).requires_grad_(False)


def _label(name: str, model: Decoder) -> str:
    return f"{name} {model.num_parameters() / 1e6:.0f}M"
