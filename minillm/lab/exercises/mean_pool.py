"""The exercise 02.mean_pool: from a key or value matrix with many heads to one with fewer, by averaging."""

from __future__ import annotations

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def _mean_pool(weight: torch.Tensor, num_kv_heads: int, head_dim: int) -> torch.Tensor:
    heads = weight.reshape(num_kv_heads, -1, head_dim, weight.shape[1])  # (G, R, D, C)
    return heads.mean(dim=1).reshape(num_kv_heads * head_dim, -1)


def _pool_case(name: str, meaning: str, H: int, G: int, D: int, C: int) -> Values:
    return Values(name, lambda: given(inputs.normal(name, H * D, C), G, D), _mean_pool, meaning, where=_weight_place(D))


def _weight_place(head_dim: int):  # type: ignore[no-untyped-def]
    return lambda index: f"key/value head {index[0] // head_dim}, channel {index[0] % head_dim}, input {index[1]}"


def _twice_is_once(call: LearnerCall) -> Finding | bool | None:
    weight = inputs.normal("twice is once", 8 * 4, 12)
    return same(call(call(weight, 4, 4), 2, 4), call(weight, 2, 4))


def _equal_heads_survive(call: LearnerCall) -> Finding | bool | None:
    shared = inputs.normal("equal heads", 2, 1, 4, 12)
    copied = shared.expand(2, 3, 4, 12).reshape(6 * 4, 12)
    return same(call(copied, 2, 4), shared.reshape(2 * 4, 12))


MEAN_POOL = Exercise(
    id="02.mean_pool",
    title="From many key heads to few",
    statement=(
        "A multi-head layer's key (or value) projection is a weight (H * D, C), head after head. Return the weight "
        "(G * D, C) of a grouped layer, whose head g is the mean of the H / G heads that will now share it."
    ),
    signature="mean_pool(weight, num_kv_heads, head_dim)",
    layers={
        "contract": (
            Contract("returns (G * D, C)", lambda: given(inputs.normal("pool", 8 * 4, 24), 2, 4), _mean_pool),
            Contract("keeps float64", lambda: given(inputs.normal("p", 8, 6, dtype=torch.float64), 1, 4), _mean_pool),
            Contract("returns a new tensor when G = H", lambda: given(inputs.normal("n", 8, 6), 2, 4), _mean_pool),
        ),
        "values": (
            _pool_case("eight heads to two", "New head 0 is the mean of heads 0 to 3, new head 1 of heads 4 to 7.", 8, 2, 4, 24),
            _pool_case("six heads to three", "Neighbours share: heads 0 and 1, 2 and 3, 4 and 5.", 6, 3, 2, 10),
            _pool_case("to one head", "Multi-query attention: the mean of all heads, channel by channel.", 4, 1, 6, 8),
            _pool_case("to as many heads", "With G = H every head is alone in its group and stays itself.", 4, 4, 2, 8),
        ),
        "properties": (
            Property("twice is once", _twice_is_once, "Pooling 8 heads to 4 and those to 2 is pooling 8 to 2."),
            Property(
                "equal heads survive",
                _equal_heads_survive,
                "When the heads of each group are already equal, their mean is that head: nothing is lost.",
            ),
        ),
    },
    hints=(
        "The rows of the weight are the outputs: D rows for head 0, then D rows for head 1, and so on. See the heads first.",
        "Row d of new head g is the mean of row d of heads g*R to g*R + R - 1, R = H / G. Columns are never mixed.",
        "heads = weight as (G, R, D, C)\nreturn the mean over R, as (G * D, C)",
    ),
    solution="notebooks/solutions/lesson_02.py: mean_pool",
)  # fmt: skip
