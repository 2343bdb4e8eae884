"""The rows of a run: printed and saved as they come, each with the bytes that it could not do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from ours import Request

from minillm.measure import Measurement, Record, Untimed, cost
from minillm.model import ModelConfig

COMPILED = "generate, static cache"  # compiled anew for every shape: minutes, so only if asked for
PEERS = ("generate_batch", "generate", COMPILED)


class Journal:
    """Rows and what is missing, printed and saved as they come. `save` takes the record so far; nothing is saved without it."""

    def __init__(self, as_record: Callable[[list[Measurement], list[Untimed]], Record]):
        self.as_record, self.save = as_record, lambda record: None
        self.rows: list[Measurement] = []
        self.missing: list[Untimed] = []

    def add(self, case: Measurement | Untimed) -> None:
        """A row, or why there is none."""
        if isinstance(case, Untimed):
            self.missing.append(case)
            print(f"  {case.operator}, {case.backend}, {_shape(case)}: {case.reason}", flush=True)
        else:
            self.rows = _with_ratios([*self.rows, case])
        if self.rows:
            record = self.as_record(self.rows, self.missing)
            self.save(record)
            if not isinstance(case, Untimed):
                print(f"  {in_words(self.rows[-1], record)}", flush=True)

    def comparisons(self) -> list[str]:
        """A line for each way of writing all texts, beside transformers' best on the same work."""
        record = self.as_record(self.rows, self.missing) if self.rows else None
        return [in_words(row, record) for row in self.rows if record is not None and row.operator == "serve"]


def work_bytes(config: ModelConfig, requests: Sequence[Request], passes: int) -> int:
    """Bytes that so many passes cannot do without: the weights in each, and what every text's new tokens look at.

    The first token of a text comes with its prompt, whose own keys are not counted; the others look at all before them.
    """
    keys = sum(sum(range(len(prompt) + 1, len(prompt) + out)) for prompt, out in requests)
    weights = step_bytes(config, 0)
    return passes * weights + step_bytes(config, keys) - weights


def step_bytes(config: ModelConfig, keys: int) -> int:
    """Bytes that a decode step cannot do without: every weight of a matrix once, and the keys and values of its texts."""
    c, item = config, getattr(torch, config.dtype).itemsize
    weights = cost.matrix_parameters(
        c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads, c.num_kv_heads, c.head_dim
    )
    kept = cost.kv_cache_bytes(1, keys, c.num_layers, c.num_kv_heads, c.head_dim, dtype_bytes=item) if keys else 0
    return cost.weight_bytes(weights, dtype_bytes=item) + kept


def in_words(row: Measurement, record: Record) -> str:
    """One line for a row."""
    line = f"{row.operator}, {row.options['model']}, {row.backend}, {_shape(row)}: {1e3 * row.p50:.3f} ms"
    line += f", {row.shape.get('T', row.shape['B']) / row.p50:,.0f} tokens/s"
    if (fraction := record.fraction_of_copy(row)) is not None:
        line += f", {fraction:.0%} of the bandwidth bound"
    for name, value in row.options.items():
        if name != "model":
            line += f", {name} {value:.3g}"
    return line if row.ratio_to_torch is None else f"{line}, {row.ratio_to_torch:.2f}x {row.best_torch}"


def _with_ratios(rows: list[Measurement]) -> list[Measurement]:
    """Rows of whole texts by ours beside the quickest of transformers' on the same work."""
    theirs: dict[object, Measurement] = {}
    for row in rows:
        if row.backend in PEERS:
            key = row.options["model"]
            theirs[key] = min(theirs.get(key, row), row, key=lambda r: r.p50)
    found = []
    for row in rows:
        best = theirs.get(row.options["model"])
        if row.operator == "serve" and row.backend not in PEERS and best is not None:
            row = replace(row, best_torch=best.backend, ratio_to_torch=best.p50 / row.p50)
        found.append(row)
    return found


def _shape(case: Measurement | Untimed) -> str:
    return " ".join(f"{letter} {number}" for letter, number in case.shape.items())
