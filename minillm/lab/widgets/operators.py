"""The operators of the kernel lab: for each, its rungs by name, shapes a CPU can interpret, inputs, an oracle, a cost.

A rung is any function that takes the operator's tensors (and `causal`, where it means something) and returns the answer,
so a learner's own function is one more. To add an operator: write one `Operator` and add it to `OPERATORS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minillm.measure.cost import attention_flops, ideal_attention_bytes
from minillm.measure.kernel_cost import softmax_bytes

Shape = Mapping[str, int]
Rung = Callable[..., Any]
DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Operator:
    """What the lab knows of one operator: `shapes` by the names of `SHAPES`, and functions of a shape.

    `make(shape, generator) -> tensors` in float32. `oracle(*tensors) -> Tensor` gets float64. `least_bytes(shape,
    dtype_bytes, ...)` is every operand read and every result written once; `useful_flops(shape, causal)` the arithmetic
    nobody can avoid. `records` are the names its measurements have in records.
    """

    arguments: tuple[str, ...]
    shapes: Mapping[str, Shape]
    make: Callable[[Shape, torch.Generator], tuple[Tensor, ...]]
    rungs: Callable[[], Mapping[str, Rung]]
    oracle: Callable[..., Tensor]
    least_bytes: Callable[[Shape, int], int]
    useful_flops: Callable[[Shape, bool], int]
    records: tuple[str, ...]
    causal: bool = False


SHAPES = ("small", "ragged", "larger", "one row")


def _attention_inputs(shape: Shape, generator: torch.Generator) -> tuple[Tensor, ...]:
    B, L, S, H, G, D = (shape[letter] for letter in "BLSHGD")
    sizes = ((L, H), (S, G), (S, G))
    return tuple(torch.randn(B, length, heads, D, generator=generator) for length, heads in sizes)


def _attention_rungs() -> Mapping[str, Rung]:
    from minillm.attention.dispatch import attention
    from minillm.attention.table import backends

    def by_name(name: str) -> Rung:
        return lambda q, k, v, causal: attention(q, k, v, causal=causal, backend=name)

    return {name: by_name(name) for name in backends()}


def _attention_oracle(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    from minillm.attention import naive_attention

    return naive_attention(q, k, v, causal=causal)


def _attention_bytes(shape: Shape, dtype_bytes: int) -> int:
    return ideal_attention_bytes(*(shape[letter] for letter in "BLSHGD"), dtype_bytes=dtype_bytes).moved


def _attention_flops(shape: Shape, causal: bool) -> int:
    return attention_flops(*(shape[letter] for letter in "BLSHD"), causal=causal).useful


def _softmax_inputs(shape: Shape, generator: torch.Generator) -> tuple[Tensor, ...]:
    return (3 * torch.randn(shape["M"], shape["N"], generator=generator),)


def _naive_softmax(x: Tensor) -> Tensor:
    """Five passes over the rows, each through memory."""
    p = (x - x.amax(-1, keepdim=True)).exp()
    return p / p.sum(-1, keepdim=True)


def _softmax_rungs() -> Mapping[str, Rung]:
    from minillm.kernels.softmax import softmax

    return {
        "naive": _naive_softmax,
        "torch": lambda x: torch.softmax(x, -1),
        "triton": softmax,
        "triton online": lambda x: softmax(x, block=64),
    }


def _matmul_inputs(shape: Shape, generator: torch.Generator) -> tuple[Tensor, ...]:
    M, N, K = (shape[letter] for letter in "MNK")
    return torch.randn(M, K, generator=generator) / math.sqrt(K), torch.randn(K, N, generator=generator)


def _naive_matmul(a: Tensor, b: Tensor) -> Tensor:
    """Row by row: every row of a reads the whole of b again."""
    return torch.stack([row @ b for row in a])


def _matmul_rungs() -> Mapping[str, Rung]:
    from minillm.kernels.matmul import matmul

    def rung(name: str) -> Rung:
        return lambda a, b: matmul(a, b, rung=name)

    ladder = {f"triton {name}": rung(name) for name in ("naive", "grouped", "persistent")}
    return {"naive": _naive_matmul, "torch": torch.matmul, **ladder}


def _matmul_bytes(shape: Shape, dtype_bytes: int) -> int:
    M, N, K = (shape[letter] for letter in "MNK")
    return (M * K + K * N + M * N) * dtype_bytes


def _matmul_flops(shape: Shape, causal: bool) -> int:
    return 2 * shape["M"] * shape["N"] * shape["K"]


def _shapes(letters: str, *sizes: tuple[int, ...]) -> Mapping[str, Shape]:
    return {name: dict(zip(letters, size, strict=True)) for name, size in zip(SHAPES, sizes, strict=True)}


OPERATORS: Mapping[str, Operator] = {
    "attention": Operator(
        arguments=("q", "k", "v"),
        shapes=_shapes("BLSHGD", (1, 128, 128, 4, 2, 64), (1, 100, 150, 4, 4, 48), (1, 256, 256, 4, 1, 64), (4, 1, 256, 4, 2, 64)),
        make=_attention_inputs,
        rungs=_attention_rungs,
        oracle=_attention_oracle,
        least_bytes=_attention_bytes,
        useful_flops=_attention_flops,
        records=("attention", "flash_attention"),
        causal=True,
    ),
    "softmax": Operator(
        arguments=("x",),
        shapes=_shapes("MN", (64, 256), (37, 1000), (64, 4096), (1, 4096)),
        make=_softmax_inputs,
        rungs=_softmax_rungs,
        oracle=_naive_softmax,
        least_bytes=lambda shape, dtype_bytes: softmax_bytes(shape["M"], shape["N"], dtype_bytes=dtype_bytes).moved,
        # Maximum, subtract, exponential, sum, divide: no dot, so the counters see none of it.
        useful_flops=lambda shape, causal: 5 * shape["M"] * shape["N"],
        records=("softmax",),
    ),
    "matmul": Operator(
        arguments=("a", "b"),
        shapes=_shapes("MNK", (128, 128, 128), (100, 70, 50), (256, 256, 256), (1, 256, 256)),
        make=_matmul_inputs,
        rungs=_matmul_rungs,
        oracle=torch.matmul,
        least_bytes=_matmul_bytes,
        useful_flops=_matmul_flops,
        records=("matmul",),
    ),
}  # fmt: skip
