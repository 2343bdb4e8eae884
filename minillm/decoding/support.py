"""Which tokens may still be chosen, and how heavy each is.

Four rules cut a distribution: min_p keeps what is at least a share of the best token's probability, top_k the k best, top_p
the fewest best that together reach p. What is left is usually a few dozen tokens of a hundred thousand, so they are gathered
first, and only they are sorted. Weights are whole numbers: adding those is exact, so no order of adding can change a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

# A probability of 1 in whole units. A row sums to about this, which a float64 still holds exactly.
UNITS = 2.0**48

# From so many scores on, looking for a floor takes less time than sorting what a lower one would let through.
WORTH_A_SEARCH = 2**14


class Rule(NamedTuple):
    """How one row's token is drawn; the fields of SamplingParams that say it. Values are trusted."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0

    @classmethod
    def of(cls, params: Any) -> Rule:
        """The rule in anything that has these fields."""
        return cls(params.temperature, params.top_k, params.top_p, params.min_p)

    @property
    def is_greedy(self) -> bool:
        """Only the best token can come out."""
        return self.temperature == 0 or self.top_k == 1

    @property
    def cuts(self) -> bool:
        """Some tokens may have to go."""
        return self.top_k is not None or self.top_p < 1 or self.min_p > 0


class Candidates(NamedTuple):
    """What is left of each row, in order of id: ids (R, K) int64 and is_kept (R, K) bool; K is the most that a row has."""

    ids: Tensor
    is_kept: Tensor


def probabilities(scores: Tensor, rules: Sequence[Rule]) -> Tensor:
    """scores (R, V) -> (R, V) after each row's temperature, in the type of the scores."""
    # Shifted before it is divided, so that a temperature of 1e-6 gives a limit and not an overflow; one too small for
    # float32 would count as 0 there, and 0 / 0 is no limit.
    limits = torch.finfo(torch.float32)
    shifted = scores - scores.amax(dim=-1, keepdim=True)
    if any(rule.temperature != 1 for rule in rules):
        shifted /= _column(scores, [min(max(rule.temperature, limits.tiny), limits.max) for rule in rules])
    return shifted.softmax(dim=-1)


def whole(probabilities: Tensor) -> Tensor:
    """Probabilities -> int64, in units of 1 / UNITS."""
    return (probabilities * UNITS).to(torch.int64)


def candidates(scores: Tensor, probabilities: Tensor, rules: Sequence[Rule]) -> Candidates:
    """scores and probabilities (R, V) -> the tokens that each row's rule leaves, at least one.

    Tokens with equal scores are taken in order of id. Each row is cut by itself: what its neighbours are changes nothing.
    """
    possible = probabilities >= _least_probability(probabilities, rules)
    if any(rule.top_k is not None for rule in rules):
        possible &= scores >= kth_best(scores, [rule.top_k for rule in rules])
    ids, is_possible = packed(possible)
    if all(rule.top_k is None and rule.top_p >= 1 for rule in rules):
        return Candidates(ids, is_possible)
    row_scores = scores.gather(-1, ids).masked_fill_(~is_possible, -torch.inf)
    order = row_scores.sort(dim=-1, descending=True, stable=True).indices
    weights = whole(probabilities.gather(-1, ids)).masked_fill_(~is_possible, 0).gather(-1, order)
    keep = _among_the_k_best(weights, rules)
    if any(rule.top_p < 1 for rule in rules):
        totals = whole(probabilities).sum(dim=-1, keepdim=True)
        keep &= _reaching_p(weights * keep, totals, rules)
    return Candidates(ids, torch.zeros_like(is_possible).scatter_(-1, order, keep) & is_possible)


def kth_best(scores: Tensor, ks: Sequence[int | None]) -> Tensor:
    """scores (R, V) -> (R, 1): each row's k-th largest score, -inf where all are to stay."""
    V = scores.shape[-1]
    wanted = [V if k is None or k >= V else k for k in ks]
    values = scores.topk(max((k for k in wanted if k < V), default=1), dim=-1).values
    floors = values.gather(-1, torch.tensor([[min(k, values.shape[-1]) - 1] for k in wanted], device=scores.device))
    return floors.masked_fill_(torch.tensor([[k == V] for k in wanted], device=scores.device), -torch.inf)


def best_ids(scores: Tensor, k: int) -> Tensor:
    """scores (R, V) -> (R, k) int64, the k best of each row, the best first and the lowest id among equals; k at most V."""
    possible, is_possible = packed(scores >= kth_best(scores, [k] * len(scores)))
    values = scores.gather(-1, possible).masked_fill_(~is_possible, -torch.inf)
    return possible.gather(-1, values.sort(dim=-1, descending=True, stable=True).indices[:, :k])


def packed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """chosen (R, V) bool -> ids (R, K) of each row's chosen columns in order, and which entries are real."""
    rows, columns = chosen.nonzero(as_tuple=True)
    counts = chosen.sum(dim=-1)
    K = int(counts.max())
    places = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    ids = torch.zeros(len(chosen), K, dtype=torch.int64, device=rows.device)
    ids[rows, places] = columns
    return ids, torch.arange(K, device=rows.device) < counts[:, None]


def _least_probability(probabilities: Tensor, rules: Sequence[Rule]) -> Tensor:
    """(R, 1): tokens below it are cut by min_p, or can't be among those that top_p keeps.

    All tokens below (1 - p) / V together miss less than 1 - p, so the others reach p without them. Half of that leaves room
    for rounding. Where another cut goes before top_p, fewer tokens share the mass, and nothing is known here.
    """
    V, best = probabilities.shape[-1], probabilities.amax(dim=-1, keepdim=True)
    floors = best * _column(probabilities, [rule.min_p for rule in rules])
    tops = [rule.top_p if _only_top_p(rule) else 1.0 for rule in rules]
    if min(tops) == 1:
        return floors
    unneeded = torch.minimum(best, _column(probabilities, [(1 - top) / (2 * V) for top in tops]))
    if probabilities.numel() >= WORTH_A_SEARCH:
        unneeded = _raised(probabilities, unneeded, best, _column(probabilities, tops))
    return torch.maximum(floors, unneeded)


def _raised(probabilities: Tensor, low: Tensor, high: Tensor, tops: Tensor) -> Tensor:
    """A higher floor (R, 1) than `low` where one is found above which more than `tops` lies: what is below is not needed.

    A few halvings between low and high, on a scale of powers. Sums are rounded, hence the margin.
    """
    for _ in range(6):
        middle = (low * high).sqrt()
        enough = (probabilities * (probabilities >= middle)).sum(dim=-1, keepdim=True) > tops + 1e-4
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return low


def _among_the_k_best(weights: Tensor, rules: Sequence[Rule]) -> Tensor:
    """weights (R, K), the best token first -> bool: the first k of each row."""
    K = weights.shape[-1]
    ks = torch.tensor([[min(rule.top_k or K, K)] for rule in rules], device=weights.device)
    return torch.arange(K, device=weights.device) < ks


def _reaching_p(weights: Tensor, totals: Tensor, rules: Sequence[Rule]) -> Tensor:
    """weights (R, K) int64, the best token first, and totals (R, 1) of whole rows -> bool: what top_p keeps.

    p is of what the other cuts left; a row without any may have left out tokens that top_p does not need.
    """
    reached = weights.cumsum(dim=-1)
    is_cut = torch.tensor([[not _only_top_p(rule)] for rule in rules], device=weights.device)
    totals = torch.where(is_cut, reached[:, -1:], totals)
    tops = torch.tensor([[rule.top_p] for rule in rules], dtype=torch.float64, device=weights.device)
    # A token stays while the mass before it is short of p: the one that crosses the line stays, and so does the first.
    keep = ((reached - weights).double() < tops * totals.double()) | (tops >= 1)
    keep[:, 0] = True
    return keep


def _only_top_p(rule: Rule) -> bool:
    return rule.top_k is None and rule.min_p == 0


def _column(like: Tensor, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
