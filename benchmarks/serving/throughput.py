"""How many tokens a second the engine writes: 32 ragged requests at once, and one alone, beside the floor of `F.linear`.

Engine and floor take turns. Some of the texts are first held to the model's own plain pass; what is timed then is all of
them, from the first prompt to the last token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from checkpoints import CONFIGS, random_decoder
from linear_floor import linear_floor
from workload import Request, many_at_once, one_alone

from minillm.measure import Measurement
from minillm.model import Decoder
from minillm.serving.compute.plain_decoder import layout_of
from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams

FLOOR = "F.linear"
CLOSE = 1e-3  # scores nearer than this may be taken for each other, in float32
SETTINGS = dict(max_model_len=512, max_num_seqs=32, max_num_batched_tokens=2048, enable_prefix_caching=False)


class Work(NamedTuple):
    """A model by size, and what is asked of it."""

    model: str
    requests: list[Request]


def works(quick: bool = False) -> list[Work]:
    """The work of the record; a first look takes 32 requests of the smaller model."""
    small = Work("24M", many_at_once(CONFIGS["24M"].vocab_size))
    V = CONFIGS["108M"].vocab_size
    return [small] if quick else [small, Work("108M", many_at_once(V)), Work("108M", one_alone(V))]


def throughput(*, threads: Sequence[int], quick: bool = False, rounds: int = 3) -> list[Measurement]:
    """Rows of engine and floor, for each work, number type and number of threads; the caller's threads are set again."""
    before, rows = torch.get_num_threads(), []
    try:
        for work in works(quick):
            for dtype in (torch.float32, torch.bfloat16):
                contestants, weights = _contestants(work, dtype)
                for number in threads:
                    torch.set_num_threads(number)
                    options = {"model": work.model, "threads": number, "weights": weights}
                    rows += _race(work, dtype, contestants, options, 1 if quick else rounds)
    finally:
        torch.set_num_threads(before)
    return rows


def in_words(row: Measurement) -> str:
    """One line for a row."""
    o, shape = row.options, row.shape
    line = f"{row.backend}, {row.dtype}, {o['model']}, {o['threads']} threads, {shape['B']} at once: "
    line += f"{shape['T'] / row.p50:.0f} tokens/s"
    return line if row.ratio_to_torch is None else f"{line}, {row.ratio_to_torch:.2f} of {FLOOR}"


def write_all(engine: LLMEngine, requests: Sequence[Request]) -> list[tuple[int, ...]]:
    """All requests at once -> the tokens of each."""
    names = [
        engine.add_request(list(prompt), SamplingParams(temperature=0, max_tokens=count, ignore_eos=True))
        for prompt, count in requests
    ]
    while engine.has_unfinished:
        engine.step()
    return [engine.output(name).outputs[0].token_ids for name in names]


@torch.inference_mode()
def require_greedy(model: Decoder, requests: Sequence[Request], texts: Sequence[Sequence[int]]) -> None:
    """Assert that each token has the best score in the model's plain pass over its text, or one as good as the best."""
    for (prompt, count), text in zip(requests, texts, strict=True):
        assert len(text) == count, f"{len(text)} tokens were written where {count} were asked for"
        scores = model(torch.tensor([[*prompt, *text[:-1]]]))[0, len(prompt) - 1 :]
        behind = scores.max(dim=-1).values - scores.gather(1, torch.tensor(text)[:, None])[:, 0]
        worst = int(behind.argmax())
        assert behind[worst] < CLOSE, f"token {worst} is {behind[worst]:.2g} behind the best; no time would mean much"


def _contestants(work: Work, dtype: torch.dtype) -> tuple[dict[str, Callable[[], object]], str]:
    model = random_decoder(CONFIGS[work.model]).to(dtype).requires_grad_(False).eval()
    multiply = linear_floor(model.config, dtype)
    engine = LLMEngine(model, **SETTINGS)
    texts = write_all(engine, work.requests)
    if dtype == torch.float32:
        require_greedy(model, work.requests[::8], texts[::8])
    calls = {"minillm": lambda: write_all(engine, work.requests), FLOOR: lambda: multiply(work.requests)}
    return calls, layout_of(model)


def _race(
    work: Work, dtype: torch.dtype, contestants: dict[str, Callable[[], object]], options: dict[str, Any], rounds: int
) -> list[Measurement]:
    """A warm-up each, then rounds in turn; the ratio to the floor is the median of the rounds'."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, call in contestants.items():
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    measured = {name: taken[1:] for name, taken in times.items()}
    ratio = float(np.median(np.divide(measured[FLOOR], measured["minillm"])))
    return [_row(work, dtype, name, taken, options, ratio) for name, taken in measured.items()]


def _row(
    work: Work, dtype: torch.dtype, name: str, taken: Sequence[float], options: dict[str, Any], ratio: float
) -> Measurement:
    p20, p50, p80 = np.quantile(taken, (0.2, 0.5, 0.8)).tolist()
    is_floor = name == FLOOR
    return Measurement(
        operator="serve", backend=name, dtype=str(dtype).removeprefix("torch."),
        shape={
            "B": len(work.requests), "L": sum(len(r.prompt) for r in work.requests),
            "T": sum(r.num_tokens for r in work.requests),
        },
        p20=p20, p50=p50, p80=p80, runs=len(taken), options=options | ({"weights": "plain"} if is_floor else {}),
        best_torch=None if is_floor else FLOOR, ratio_to_torch=None if is_floor else ratio,
    )  # fmt: skip
