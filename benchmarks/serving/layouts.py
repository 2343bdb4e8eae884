"""How long a decode step takes with the weights laid out in each way this machine has, and how much of that is the products.

All layouts of a model take turns in one process, with the same keys and tokens, and must agree before they are timed;
`plain` is the one to beat. Beside each runs its floor: the step's matrix products and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from checkpoints import CONFIGS
from steps import Shares, filled_cache, step_call

import minillm as ml
from minillm.cache import PagedCache
from minillm.measure import Measurement, compare_calls
from minillm.model import Decoder
from minillm.serving.compute.packed_linear import LAYOUTS, runs
from minillm.serving.compute.plain_decoder import PlainDecoder
from minillm.serving.runner import PagedLoop

OPERATOR = "decode_layouts"
TEXTS = (1, 4, 32)
LENGTHS = (60, 340)  # texts are evenly spread between the two, or have their mean
# How far logits may be from those of `plain`: 16 bits round the weights, bfloat16 what they are multiplied with too.
ALLOWED = {"packed float16": 1e-2, "packed bfloat16": 1e-1, "compiled bfloat16": 1e-1}


def layout_steps(
    *, threads: Sequence[int], models: Sequence[str] = ("tiny", *CONFIGS), quick: bool = False
) -> list[Measurement]:
    """Seconds a decode step, by model, number of texts, layout and threads; the caller's number is set again afterwards."""
    before, rows = torch.get_num_threads(), []
    try:
        for name in models:
            model = _model(name)
            for texts in TEXTS[::2] if quick else TEXTS:
                for number in threads:
                    torch.set_num_threads(number)
                    rows += _race(model, name, texts, number, quick)
    finally:
        torch.set_num_threads(before)
    return rows


def in_words(row: Measurement) -> str:
    """One line for a row."""
    texts, threads = row.shape["B"], row.options["threads"]
    ratio = "" if row.ratio_to_torch is None else f", {row.ratio_to_torch:.2f} times as fast as plain"
    return f"{row.options['model']}, {texts} texts, {threads} threads, {row.backend}: {1e3 * row.p50:.3f} ms{ratio}"


def lengths(texts: int) -> Shares:
    """One new token for each of so many texts."""
    low, high = LENGTHS
    return tuple((low + (high - low) * (2 * i + 1) // (2 * texts), 1) for i in range(texts))


def products(plain: PlainDecoder, texts: int) -> Callable[[], None]:
    """All matrix products of a step of so many texts, on inputs that do not change."""
    H, _, D = plain.heads
    width = plain.embedding.shape[1]
    states, mixed = torch.randn(texts, width), torch.randn(texts, H * D)
    inner = plain.layers[0].gate_up(states).shape[1] // 2
    gated = torch.randn(texts, inner)

    @torch.inference_mode()
    def multiply() -> None:
        for layer in plain.layers:
            layer.qkv(states), layer.output(mixed), layer.gate_up(states), layer.down(gated)
        plain.head(states)

    return multiply


def _model(name: str) -> Decoder:
    if name == "tiny":
        return ml.load_model("tiny", dtype=torch.float32).requires_grad_(False)
    torch.manual_seed(0)
    return Decoder(CONFIGS[name]).requires_grad_(False)


def _race(model: Decoder, name: str, texts: int, threads: int, quick: bool) -> list[Measurement]:
    """A row a layout, and one for its products alone."""
    shares, c = lengths(texts), model.config
    loops = {layout: PagedLoop(model, layout) for layout in LAYOUTS if runs(layout)}
    caches = {layout: filled_cache(model, [shares]) for layout in loops}
    _require_agreement({layout: _logits(loop, caches[layout], shares) for layout, loop in loops.items()})
    calls: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        for layout, loop in loops.items():
            assert loop.plain is not None
            calls[layout] = stack.enter_context(step_call(loop, caches[layout], shares))
            calls[f"{layout}, products alone"] = products(loop.plain, texts)
        compared = compare_calls(calls, min_seconds=0.1 if quick else 2.0, rounds=2 if quick else 12)
    shape = {"B": texts, "S": max(start + 1 for start, _ in shares), "N": c.num_layers, "C": c.hidden_size}
    options = {"model": f"{name} {model.num_parameters() // 10**6}M", "threads": threads}
    return [
        Measurement(
            operator=OPERATOR, backend=way, dtype="float32", shape=shape, p20=timing.p20, p50=timing.p50, p80=timing.p80,
            runs=timing.runs, options=options, best_torch="plain" if way != "plain" else None,
            ratio_to_torch=1 / compared.ratios[way].p50 if way != "plain" else None,
        )
        for way, timing in compared.timings.items()
    ]  # fmt: skip


def _logits(loop: PagedLoop, cache: PagedCache, shares: Shares) -> torch.Tensor:
    """(B, V): what the step that is timed scores, with its blocks given back."""
    tables = [cache.table() for _ in shares]
    for table, (start, _) in zip(tables, shares, strict=True):
        table.append(start)
    ids = torch.arange(len(shares)) % loop.model.config.vocab_size
    logits = loop.step(ids, cache.extend(tables, [1] * len(shares)))
    for table in tables:
        table.free()
    return logits


def _require_agreement(logits: dict[str, torch.Tensor]) -> None:
    want = logits["plain"]
    for layout, got in logits.items():
        error = ((got - want).norm() / want.norm()).item()
        assert error <= ALLOWED.get(layout, 1e-4), (
            f"{layout} differs by {error:.1e} from plain; no time would mean much"
        )
