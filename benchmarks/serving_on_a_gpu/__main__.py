"""What a GPU makes of serving: a decode step beside the bytes that it must read, and 256 ragged texts beside transformers.

Real shapes with random weights, made on the device: speed does not depend on what they are, as long as nobody may stop
early. The machine's ceilings are measured first. Cases stand in order of interest, the record is saved after every one, and
what has no time left, or fails, is named in it. The texts are those of nano-vllm's benchmark: 133,966 tokens from seed 0.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from gpu_rows import COMPILED, PEERS, Journal, step_bytes, work_bytes
from ours import DecodeStep, Outcome, Request, random_model, ways_of_ours

from minillm.measure import Measurement, Untimed, time_call
from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record
from minillm.model import KNOWN_CONFIGS, Decoder, ModelConfig

MODELS = ("Qwen3-0.6B", "Qwen3-8B")
BATCHES, CONTEXT = (1, 32, 128, 256), 1024  # texts in a decode step, and the keys that each looks at
DRY = ModelConfig(
    300, 32, 48, 2, 4, 2, 16, 256, "qwen3", 1e6, tie_word_embeddings=True, qk_norm=True, dtype="bfloat16"
)  # fmt: skip
WAYS = ("minillm, CUDA graphs", "generate_batch", "minillm", "generate")
WRONG = (
    1.0  # standard deviations of the scores that a token may be behind the best: rounding is far less, a mistake more
)


class Size(NamedTuple):
    """How much is asked for: the texts, the decode steps, and a moment of each to get ready."""

    requests: list[Request]
    batches: tuple[int, ...]
    context: int
    seconds: float

    @property
    def warm_up(self) -> list[Request]:
        """Texts of the same kind, few and short."""
        return [Request(r.prompt, 4) for r in self.requests[:4]]


def ragged(count: int, shortest: int, longest: int, seed: int = 0) -> list[Request]:
    """`count` texts, prompts and outputs each of evenly drawn length: nano-vllm's, drawn in its order."""
    drawn = random.Random(seed)
    prompts = [tuple(drawn.randint(0, 10_000) for _ in range(drawn.randint(shortest, longest))) for _ in range(count)]
    return [Request(prompt, drawn.randint(shortest, longest)) for prompt in prompts]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a row, and save the record as it grows."""
    chosen = _parser().parse_args(arguments)
    begun = time.monotonic()
    if not chosen.dry and not torch.cuda.is_available():
        print("no GPU that torch can see, so nothing is measured; --dry runs the same path on the processor, small")
        return
    keeps = not chosen.no_record and not (chosen.dry and chosen.out == RECORDS)  # a rehearsal is no measurement
    if keeps:
        writable_folder(chosen.out)
    device = torch.device("cpu" if chosen.dry else "cuda")
    size = _size(chosen)
    print("the ceilings first: a copy and large matrix products", flush=True)
    ceilings = measure_this_machine(device.type, min_seconds=0.02 if chosen.dry else 0.3)
    print(ceilings, flush=True)
    words = ["python benchmarks/serving_on_a_gpu", *("--quick",) * chosen.quick, *("--dry",) * chosen.dry]
    command = " ".join([*words, f"--model {' '.join(chosen.model)}", f"--minutes {chosen.minutes:g}"])
    journal = Journal(lambda rows, missing: record_run(rows, ceilings, command, untimed=missing))
    if keeps:
        part = [name.lower() for name in chosen.model if len(chosen.model) < len(MODELS)]
        name = "-".join(["serving-on-a-gpu", *part, *("quick",) * chosen.quick])
        journal.save = lambda record: write_record(record, name, chosen.out)
    ends = begun + 60 * chosen.minutes
    for name in chosen.model:
        measure(name, DRY if chosen.dry else KNOWN_CONFIGS[name], device, size, chosen.ways, journal, ends)
    print("\n".join(journal.comparisons()))
    print(f"{len(journal.rows)} rows measured, {len(journal.missing)} left out")


def measure(
    name: str, config: ModelConfig, device: torch.device, size: Size, ways: Sequence[str], journal: Journal, ends: float
) -> None:
    """All cases of one model, the quickest first; what fails or is late goes down with its reason."""
    print(name, flush=True)
    late = "left out: the time was up"
    if time.monotonic() > ends:
        journal.add(Untimed("serve", "minillm", config.dtype, _work(size), late, {"model": name}))
        return
    model = random_model(config, device)
    for backend in (way for way in ways if way not in PEERS):
        for batch in size.batches:
            shape = {"B": batch, "S": size.context}
            with _noted(journal, "decode_step", backend, config, shape, name):
                if time.monotonic() > ends:
                    raise OutOfTime(late)
                with DecodeStep(model, batch, size.context, graphs=backend != "minillm") as step:
                    timing = time_call(step, min_seconds=size.seconds)
                moved = step_bytes(config, batch * size.context)
                journal.add(_row("decode_step", backend, config, shape, timing, moved, {"model": name}))
            _tidy()
    for backend in ways:
        with _noted(journal, "serve", backend, config, _work(size), name):
            if time.monotonic() > ends:
                raise OutOfTime(late)
            journal.add(_served(name, backend, model, size, ends))
        _tidy()


def _served(name: str, backend: str, model: Decoder, size: Size, ends: float) -> Measurement:
    """All texts by one way, after a warm-up -> its row. What it wrote is counted, and where it is ours held to the model."""
    if backend in PEERS:
        from theirs import ways_of_transformers as ways
    else:
        ways = ways_of_ours
    with ways(model, size.requests, backend) as write:
        write(size.warm_up, ends)
        outcome: Outcome = write(size.requests, ends)
    for text, request in zip(outcome.texts, size.requests, strict=True):
        if len(text) != request.num_tokens:
            raise OutOfTime(f"{len(text)} tokens where {request.num_tokens} were asked for: stopped, or out of time")
    if outcome.facts.get("behind the best", 0.0) > WRONG:
        raise RuntimeError(f"a token is {outcome.facts['behind the best']:.1f} deviations behind the model's best")
    passes = outcome.facts.get("passes")
    moved = None if passes is None else work_bytes(model.config, size.requests, int(passes))
    options = {"model": name, **outcome.facts}
    return _row("serve", backend, model.config, _work(size), [outcome.seconds], moved, options)


class OutOfTime(RuntimeError):
    """A case that was not begun, or not ended, in time."""


@contextmanager
def _noted(
    journal: Journal, operator: str, backend: str, config: ModelConfig, shape: dict[str, int], name: str
) -> Iterator[None]:
    """What a case raises becomes its reason to be missing: a peer that does not run here, memory that does not suffice."""
    try:
        yield
    except Exception as problem:
        kind = "" if isinstance(problem, OutOfTime) else f"{type(problem).__name__}: "
        reason = " ".join(f"{kind}{problem}".split())[:300]
        journal.add(Untimed(operator, backend, config.dtype, shape, reason, {"model": name}))


def _row(operator, backend, config, shape, timing, moved, options) -> Measurement:
    times = sorted(timing) if isinstance(timing, list) else None
    p20, p50, p80 = (times[0], times[len(times) // 2], times[-1]) if times else (timing.p20, timing.p50, timing.p80)
    runs = len(times) if times else timing.runs
    return Measurement(
        operator=operator, backend=backend, dtype=config.dtype, shape=shape, p20=p20, p50=p50, p80=p80, runs=runs,
        bytes_moved=moved, options=options,
    )  # fmt: skip


def _work(size: Size) -> dict[str, int]:
    prompts, outputs = zip(*size.requests, strict=True)
    return {"B": len(size.requests), "L": sum(map(len, prompts)), "T": sum(outputs)}


def _tidy() -> None:
    """Memory back before the next contestant: graphs and engines hold each other."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _size(chosen: argparse.Namespace) -> Size:
    if chosen.dry:
        requests = [Request(tuple(i % 300 for i in prompt), out) for prompt, out in ragged(4, 3, 12)]
        return Size(requests, (1, 2), 20, 0.01)
    if chosen.quick:
        return Size(ragged(64, 100, 256), (1, 256), CONTEXT, 0.2)
    return Size(ragged(256, 100, 1024), BATCHES, CONTEXT, 0.5)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serving_on_a_gpu", description=__doc__)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, COMPILED], default=list(WAYS), help="who")
    parser.add_argument("--minutes", type=float, default=8.0, help="start nothing after this (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer and shorter texts")
    parser.add_argument("--dry", action="store_true", help="the same path on the processor with a toy of a model")
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    return parser


if __name__ == "__main__":
    main()
