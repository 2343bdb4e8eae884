"""How long one step of decoding takes over each kind of cache: the same model, the same texts, the same tokens.

The contiguous cache is the one to beat: it copies nothing and looks nothing up, and reserves the longest text's memory for
every text. Where texts differ in length it runs both ways there are, padded and one by one. Blocks of the paged caches are
dealt out in random order, the worst case. Texts grow by a block's tokens and are cut again, the same for every cache; the
first steps must agree before anything is timed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, cycle

import torch

import minillm as ml
from minillm.cache import ContiguousCache, PagedCache, QuantizedPagedCache
from minillm.measure import Measurement, compare_calls
from minillm.model import Decoder, ModelConfig
from minillm.serving.compute.plain_decoder import layout_of
from minillm.serving.runner import DecodeLoop, PagedLoop

BLOCK_SIZE = 16
PROMISED = 1.15  # how many times the contiguous step's time a paged one may take
LLAMA = ModelConfig(32_000, 768, 2336, 12, 12, 4, 64, max_position_embeddings=4096)
Step = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A model by name, and how long each of its texts is, the new token included."""

    model: str
    lengths: tuple[int, ...]

    def __str__(self) -> str:
        low, high = min(self.lengths), max(self.lengths)
        span = str(high) if low == high else f"{low} to {high}"
        return f"{self.model}, {len(self.lengths)} x {span} tokens"


def ragged(batch: int, low: int, high: int) -> tuple[int, ...]:
    """`batch` lengths from `low` to `high`, evenly spaced and in random order."""
    lengths = torch.linspace(low, high, batch).int().tolist()
    random.Random(0).shuffle(lengths)
    return tuple(lengths)


CASES = (
    Case("tiny", (100,)),
    Case("tiny", (900,)),
    Case("tiny", ragged(32, 17, 900)),
    Case("llama", (900,)),
    Case("llama", (4000,)),
    Case("llama", ragged(32, 17, 900)),
)


def decode_steps(*, threads: Sequence[int], quick: bool = False) -> list[Measurement]:
    """Seconds a step of every case, by every cache, with so many threads; the caller's number is set again afterwards."""
    models: dict[str, Decoder] = {}
    before, rows = torch.get_num_threads(), []
    try:
        for case in CASES[::3] if quick else CASES:
            model = models.setdefault(case.model, _model(case.model))
            steps = _steps(model, case.lengths)
            _require_agreement(case, {name: step() for name, step in steps.items()})
            for number in threads:
                torch.set_num_threads(number)
                rows += _race(case, model, steps, number, quick)
    finally:
        torch.set_num_threads(before)
    return rows


def in_words(row: Measurement) -> str:
    """One line for a row: its time, and how many times the contiguous cache's that is."""
    S, options = row.shape["S"], row.options
    name = f"{options['model']}, {row.shape['B']} x up to {S} tokens, {options['threads']} threads, {row.backend}"
    if row.ratio_to_torch is None:
        return f"{name}: {1e3 * row.p50:.3f} ms a step"
    return f"{name}: {1e3 * row.p50:.3f} ms a step, {1 / row.ratio_to_torch:.2f} of contiguous"


def _model(name: str) -> Decoder:
    """The bundled model, or a Llama of 108 million random weights: a step's time does not depend on their values."""
    if name == "tiny":
        return ml.load_model("tiny", dtype=torch.float32).requires_grad_(False)
    torch.manual_seed(0)
    return Decoder(LLAMA).requires_grad_(False)


def _steps(model: Decoder, lengths: tuple[int, ...]) -> dict[str, Step]:
    """A step over each cache by name, all over the same random keys and values; the contiguous ones come first."""
    c, random_numbers = model.config, torch.Generator().manual_seed(1)
    ids = torch.randint(0, c.vocab_size, (len(lengths), 1), generator=random_numbers)
    dense = model.new_cache(len(lengths), max(lengths) + BLOCK_SIZE)
    for x in (dense.k, dense.v):
        x.normal_(generator=random_numbers)
    before = torch.tensor(lengths) - 1
    dense.lengths.copy_(before)
    ways = ("padded", "one by one") if len(set(lengths)) > 1 else ("contiguous",)
    steps = {way: _dense_step(model, dense, ids, before, way) for way in ways}
    sizes = (c.num_layers, sum(n // BLOCK_SIZE + 4 for n in lengths), BLOCK_SIZE, c.num_kv_heads, c.head_dim)
    caches = {"paged": PagedCache(*sizes)}
    caches |= {f"paged, {stored}": QuantizedPagedCache(*sizes, stored=stored) for stored in ("int8", "fp8")}
    for name, cache in caches.items():
        _shuffle(cache)
        steps[name] = _paged_step(model, cache, dense, ids, lengths)
    return steps


def _dense_step(model: Decoder, cache: ContiguousCache, ids: torch.Tensor, before: torch.Tensor, way: str) -> Step:
    loop = DecodeLoop(model, cache)
    loop._padding_is_waste = lambda lengths: way == "one by one"  # type: ignore[method-assign]
    # Set at every turn, because both ways may be at work in one cache.
    starts = cycle([before + turn for turn in range(BLOCK_SIZE)])

    def step() -> torch.Tensor:
        cache.lengths.copy_(next(starts))
        return loop.step(ids)

    return step


def _paged_step(
    model: Decoder, cache: PagedCache, dense: ContiguousCache, ids: torch.Tensor, lengths: tuple[int, ...]
) -> Step:
    dense.lengths.copy_(torch.tensor(lengths) - 1)
    tables, loop, packed = cache.from_contiguous(dense), PagedLoop(model), ids[:, 0].clone()
    counts, turns = [1] * len(lengths), count(0)

    def step() -> torch.Tensor:
        if next(turns) % BLOCK_SIZE == 0:
            for table, length in zip(tables, lengths, strict=True):
                table.truncate(length - 1)
        return loop.step(packed, cache.extend(tables, counts))

    return step


def _shuffle(cache: PagedCache) -> None:
    """Let the pool hand its blocks out in random order, as after a long day: blocks freed in that order come back in it."""
    blocks = cache.pool.allocate(cache.pool.num_blocks)
    random.Random(0).shuffle(blocks)
    for block in blocks:
        cache.pool.free([block])


def _require_agreement(case: Case, logits: dict[str, torch.Tensor]) -> None:
    want = next(iter(logits.values()))
    for name, got in logits.items():
        error = ((got - want).norm() / want.norm()).item()
        allowed = {"paged, int8": 0.1, "paged, fp8": 0.2}.get(name, 1e-4)
        assert error <= allowed, (
            f"{case}: {name} differs by {error:.1e} from the contiguous cache; no time would mean much"
        )


def _race(case: Case, model: Decoder, steps: dict[str, Step], threads: int, quick: bool) -> list[Measurement]:
    """A row a cache. The better contiguous way is what the others are compared with, in pairs of neighbouring blocks."""
    compared = compare_calls(steps, min_seconds=0.2 if quick else 2.0, rounds=3 if quick else 15)
    dense = [name for name in steps if not name.startswith("paged")]
    best = min(dense, key=lambda name: compared.timings[name].p50)
    c = model.config
    shape = {
        "B": len(case.lengths), "S": max(case.lengths), "T": sum(case.lengths), "N": c.num_layers, "H": c.num_heads,
        "G": c.num_kv_heads, "D": c.head_dim, "P": BLOCK_SIZE,
    }  # fmt: skip
    shared = {
        "model": case.model,
        "parameters": model.num_parameters(),
        "threads": threads,
        "weights": layout_of(model),
    }
    ratios = {name: compared.ratios[best].p50 / ratio.p50 for name, ratio in compared.ratios.items() if name != best}
    return [
        Measurement(
            operator="decode_step", backend=name, dtype="float32", shape=shape,
            p20=timing.p20, p50=timing.p50, p80=timing.p80, runs=timing.runs, options=shared,
            best_torch=best if name in ratios else None, ratio_to_torch=ratios.get(name),
        )
        for name, timing in compared.timings.items()
    ]  # fmt: skip
