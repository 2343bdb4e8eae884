"""Our engine as this benchmark asks for it: a model made on the device, one decode step, and all texts from first to last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from minillm.cache.paged_batch import make_batch
from minillm.model import Decoder, ModelConfig
from minillm.serving.compute.decode_graph import DecodeGraphs
from minillm.serving.engine import LLMEngine
from minillm.serving.runner import PagedLoop
from minillm.serving.sampling_params import SamplingParams

BLOCK_SIZE = 64  # as many keys as a tile of the kernel has
BUDGET = 16_384
CHECKED = 2  # texts that are read again by the model, whole
SHARPER = 2.0  # random queries and keys attend to everything a little; larger ones choose


class Request(NamedTuple):
    """Token ids to go on from, and how many tokens to write, greedily and past any end token."""

    prompt: tuple[int, ...]
    num_tokens: int


class Outcome(NamedTuple):
    """What was written, in what time, and what else there is to know of it."""

    texts: list[list[int]]
    seconds: float
    facts: dict[str, float]


Write = Callable[[Sequence[Request], float], Outcome]  # (requests, when to have stopped by time.monotonic)


@torch.no_grad()
def random_model(config: ModelConfig, device: torch.device, seed: int = 0) -> Decoder:
    """A Decoder in its config's dtype whose matrices keep variances, drawn where it stays."""
    drawn, before = torch.Generator(device).manual_seed(seed), torch.get_default_dtype()
    try:
        torch.set_default_dtype(getattr(torch, config.dtype))
        with device:
            model = Decoder(config)
    finally:
        torch.set_default_dtype(before)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.normal_(std=0.02 if "embed" in name else weight.shape[1] ** -0.5, generator=drawn)
        if "qkv" in name:
            weight[: (config.num_heads + config.num_kv_heads) * config.head_dim] *= SHARPER
    return model.requires_grad_(False).eval()


class DecodeStep:
    """One step of `batch` texts that each look at `context` keys, as a call -> the tokens chosen, on the host.

    Tables are made into index tensors at every call, as an engine must; scheduling is not in it.
    """

    def __init__(self, model: Decoder, batch: int, context: int, *, graphs: bool):
        self.cache = model.new_paged_cache(batch * -(-context // BLOCK_SIZE), BLOCK_SIZE)
        for layer in range(model.config.num_layers):
            self.cache.k[layer].normal_()
            self.cache.v[layer].normal_()
        self.tables = [self.cache.table() for _ in range(batch)]
        for table in self.tables:
            table.append(context)
        self.loop = PagedLoop(model)
        self.ids = [(37 * row) % model.config.vocab_size for row in range(batch)]
        self.graphs = graphs_for(self.loop, self.cache, batch, context) if graphs else None

    def __call__(self) -> list[int]:
        batch = make_batch(self.cache, self.tables, [1] * len(self.tables))
        if self.graphs is not None:
            scores = self.graphs.step(self.ids, batch)
        else:
            scores = self.loop.step(torch.tensor(self.ids, device=self.cache.device), batch)
        return scores.argmax(dim=-1).tolist()

    def __enter__(self) -> DecodeStep:
        return self

    def __exit__(self, *problem: object) -> None:
        self.graphs = None
        self.cache = self.tables = None


def graphs_for(loop: PagedLoop, cache, batch: int, context: int) -> DecodeGraphs:
    """A recording for exactly so many texts; on a processor, for a dry run, the same call unrecorded, by the kernels."""
    record = (lambda call: call) if cache.device.type == "cpu" else None
    return DecodeGraphs(loop, cache, [batch], context, record=record)


@contextmanager
def ways_of_ours(model: Decoder, requests: Sequence[Request], backend: str) -> Iterator[Write]:
    """An engine with room for all requests, all at once."""
    longest = max(len(prompt) + out for prompt, out in requests)
    blocks = sum(-(-(len(prompt) + out) // BLOCK_SIZE) for prompt, out in requests)
    on_cpu = model.device.type == "cpu"
    engine = LLMEngine(
        model, block_size=BLOCK_SIZE, num_blocks=blocks, max_num_seqs=len(requests), max_num_batched_tokens=BUDGET,
        max_model_len=longest, enable_prefix_caching=False, cuda_graphs="graphs" in backend and not on_cpu,
    )  # fmt: skip
    watch = Watch(engine)

    def write(wanted: Sequence[Request], ends: float) -> Outcome:
        watch.reset()
        begun = time.perf_counter()
        names = [
            engine.add_request(list(prompt), SamplingParams(temperature=0, max_tokens=count, ignore_eos=True))
            for prompt, count in wanted
        ]
        while engine.has_unfinished and time.monotonic() < ends:
            engine.step()
        seconds = time.perf_counter() - begun
        for name in [name for name in names if name in engine.answers.live]:
            engine.abort(name)
        outputs = [engine.output(name) for name in names]
        if wrong := next((out.error for out in outputs if out.error), None):
            raise RuntimeError(wrong)
        texts = [list(out.outputs[0].token_ids) for out in outputs]
        facts = {"passes": watch.passes, "outside the pass": watch.outside(seconds)}
        if len(wanted) == len(requests):
            facts["behind the best"] = max(map(lambda r, t: behind(model, r, t), wanted[:CHECKED], texts[:CHECKED]))
        return Outcome(texts, seconds, facts)

    yield write


class Watch:
    """How many passes an engine makes, and which share of the time is not spent in them: scheduling, and making text."""

    def __init__(self, engine: LLMEngine):
        self.inner = engine.worker.run
        self.reset()
        engine.worker.run = self._run  # type: ignore[method-assign]

    def reset(self) -> None:
        self.passes, self.inside = 0, 0.0

    def outside(self, seconds: float) -> float:
        """The share, of so many seconds in all. A pass ends when its tokens are on the host."""
        return max(0.0, 1 - self.inside / seconds)

    def _run(self, *arguments):
        begun = time.perf_counter()
        try:
            return self.inner(*arguments)
        finally:
            self.passes += 1
            self.inside += time.perf_counter() - begun


@torch.inference_mode()
def behind(model: Decoder, request: Request, text: Sequence[int]) -> float:
    """How far a text's tokens are behind the best of the model's plain pass, at worst, in standard deviations of the scores.

    0 to about 0.1 is rounding in 16 bits, where scores lie close; a token chosen by mistake is some 4 behind.
    """
    if not text:
        return 0.0
    ids = torch.tensor([[*request.prompt, *text[:-1]]], device=model.device)
    hidden = model.hidden_states(ids)[0, len(request.prompt) - 1 :]
    scores = model.logits(hidden).float()
    chosen = scores.gather(1, torch.tensor(list(text), device=model.device)[:, None])[:, 0]
    return float(((scores.amax(dim=-1) - chosen) / scores.std(dim=-1)).max())
