"""Whether a cache fits a model: asked once before a pass, so that a mistake is a sentence and not a wrong text.

A cache knows its own sizes; the model says its facts. What is compared must agree in everything, for a cache of another
model would be written without a murmur and read as nonsense.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from minillm.errors import InvalidValue, rule_numbers_remedy


class ModelFacts(NamedTuple):
    """What of a model its cache must match. `windows` holds one entry a layer: tokens, or None where it sees everything."""

    num_layers: int
    num_kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device
    windows: tuple[int | None, ...]


def require_fit(names: str, got: tuple[object, ...], want: tuple[object, ...], remedy: str) -> None:
    """Raise InvalidValue naming both when a cache's sizes differ from the model's; `names` says what the tuples hold."""
    if got != want:
        rule = f"a cache must have the model's {names}, {_listed(want)}"
        raise InvalidValue(rule_numbers_remedy(rule, _listed(got), remedy))


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values))
