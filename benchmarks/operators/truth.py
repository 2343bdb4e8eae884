"""What is right: every operator again in float64, on a sample of the output small enough to afford.

A sampled row is computed exactly, against every key or along the whole depth; rows are drawn afresh each time, the first
and the last always among them, for those are where masks and tails go wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLED_ROWS = 64
CHUNK_ROWS = 1024

# Relative root-mean-square errors that a right answer stays below: a rounding or two of the dtype, on the way and at the end.
RMS_LIMITS = {"float32": 2e-5, "float16": 1e-3, "bfloat16": 5e-3}
# No single element may be further off than this many times the limit, relative to the largest value.
WORST = 16


@dataclass(frozen=True)
class Sample:
    """Part of an output: `pick` takes it from what a call returned, `want` is its float64 value. `slack` widens the limit."""

    pick: Callable[..., Tensor]
    want: Tensor
    slack: float = 1.0


@dataclass(frozen=True)
class Errors:
    """Largest absolute difference from float64, and the root mean square of the differences relative to the truth's."""

    largest: float
    rms: float


class WrongAnswer(Exception):
    """An answer further from the truth than rounding can bring it."""


def require_right(output: object, samples: list[Sample], dtype: str) -> Errors:
    """What a call returned -> its errors, the worst over the samples. Raises WrongAnswer; NaN is never right."""
    found = [_errors(sample.pick(output), sample.want, RMS_LIMITS[dtype] * sample.slack) for sample in samples]
    return Errors(max(e.largest for e in found), max(e.rms for e in found))


def _errors(got: Tensor, want: Tensor, limit: float) -> Errors:
    if got.shape != want.shape:
        raise WrongAnswer(f"shape {tuple(got.shape)}, not {tuple(want.shape)}")
    difference = got.double() - want
    largest = difference.abs().max().item()
    rms = (difference.square().mean().sqrt() / want.square().mean().sqrt()).item()
    allowed = WORST * limit * want.abs().max().item()
    if rms <= limit and largest <= allowed:
        return Errors(largest, rms)
    raise WrongAnswer(
        f"relative RMS error {rms:.1e}, {limit:.1e} allowed; largest error {largest:.1e}, {allowed:.1e} allowed"
    )


def sample_rows(count: int, wanted: int, random: torch.Generator) -> Tensor:
    """At most `wanted` of `count` row numbers, ascending; the first and the last are among them."""
    ends = torch.tensor([0, count - 1], device=random.device)
    drawn = torch.randint(count, (max(0, wanted - 2),), generator=random, device=random.device)
    return torch.cat([ends, drawn]).unique()


def attention_rows(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, causal: bool) -> Tensor:
    """q (L, H, D), k and v (S, G, D), rows (R,) -> those rows of attention (R, H, D) in float64, causal at the bottom right."""
    (L, H, D), (S, G, _) = q.shape, k.shape
    queries = q[rows].double().view(-1, G, H // G, D)  # (R, G, H / G, D)
    scores = torch.einsum("rgjd,sgd->rgjs", queries, k.double()) / math.sqrt(D)
    if causal:
        hidden = torch.arange(S, device=q.device) > (rows + S - L)[:, None]
        scores = scores.masked_fill(hidden[:, None, None], -math.inf)
    p = torch.softmax(scores, -1).nan_to_num(0.0)  # a row that sees nothing gives 0
    return torch.einsum("rgjs,sgd->rgjd", p, v.double()).reshape(-1, H, D)


def attention_gradients(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, causal: bool) -> tuple[Tensor, Tensor, Tensor]:
    """One key/value head: q and dout (L, J, D) of its J query heads, k and v (S, D) -> dq, dk, dv in float64.

    Walks over chunks of rows, so that (L, S) is never whole: dS = P * (dP - rowsum(dO * O)), then the three products.
    """
    (L, _, D), S = q.shape, k.shape[0]
    q, k, v, dout = q.double(), k.double(), v.double(), dout.double()
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for start in range(0, L, CHUNK_ROWS):
        rows = slice(start, min(start + CHUNK_ROWS, L))
        scores = torch.einsum("ljd,sd->ljs", q[rows], k) / math.sqrt(D)
        if causal:
            last = torch.arange(rows.start, rows.stop, device=q.device) + S - L
            hidden = torch.arange(S, device=q.device) > last[:, None]
            scores = scores.masked_fill(hidden[:, None], -math.inf)
        p = torch.softmax(scores, -1).nan_to_num(0.0)
        dp = torch.einsum("ljd,sd->ljs", dout[rows], v)
        ds = p * (dp - (p * dp).sum(-1, keepdim=True)) / math.sqrt(D)
        dq[rows] = torch.einsum("ljs,sd->ljd", ds, k)
        dk += torch.einsum("ljs,ljd->sd", ds, q[rows])
        dv += torch.einsum("ljs,ljd->sd", p, dout[rows])
    return dq, dk, dv
