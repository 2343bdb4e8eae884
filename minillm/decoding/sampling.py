"""From scores to the next token: penalties, temperature, min-p, top-k, top-p, and noise that depends on nothing but its address.

A score is divided by the temperature, unlikely tokens are cut away, and one of the rest is drawn. The draw is a function of
(seed, sample, position), so a text does not change with its neighbours in a batch, with preemption or with speculation.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from minillm.decoding.penalties import TokenCounts, forbid, has_penalties, penalise
from minillm.decoding.support import Rule, best_ids, candidates, probabilities, whole
from minillm.errors import InvalidValue, rule_numbers_remedy

# Rows of so many scores are drawn together: few calls for small vocabularies, and for large ones memory that stays near.
TOGETHER = 2**17


class Choice(NamedTuple):
    """All that one row's choice depends on, besides its scores.

    params   anything with the fields of SamplingParams
    noise    in [0, 1), from `uniform_noise`; not read where the choice is greedy
    banned   tokens that can't be chosen; never all of them
    counts   of this text, if the caller keeps them: with penalties, a step then costs nothing per token of the text
    """

    params: Any
    noise: float = 0.0
    prompt_token_ids: Sequence[int] = ()
    output_token_ids: Sequence[int] = ()
    banned: Collection[int] = ()
    counts: TokenCounts | None = None


class UnusableScores(InvalidValue):
    """A best score that is no finite number, so nothing can be chosen; `rows` says where. The other rows can be asked again."""

    def __init__(self, rows: Sequence[int]):
        self.rows = tuple(rows)
        rule = "the best score of a row must be a finite number"
        remedy = "look for NaN or infinity in the weights, or for a row whose every token is banned"
        super().__init__(rule_numbers_remedy(rule, f"others in rows {list(self.rows)}", remedy))


def choose_tokens(logits: Tensor, choices: Sequence[Choice]) -> list[int]:
    """logits (B, V) and one Choice a row -> B token ids. Values are trusted.

    In order: banned tokens, penalties, temperature, min_p, top_k, top_p (Holtzman et al., "The Curious Case of Neural Text
    Degeneration", 2020), and the draw. Equal scores go by id, the lowest first. A row's token does not depend on the other
    rows. Raises UnusableScores, naming the rows.
    """
    scores = _with_penalties(logits, choices)
    tokens, values = _best(scores)
    unusable = [row for row, value in enumerate(values) if not math.isfinite(value)]
    if unusable:
        raise UnusableScores(unusable)
    if all(choice.params.temperature == 0 for choice in choices):
        return tokens
    rules = [Rule.of(choice.params) for choice in choices]
    for cuts in (False, True):
        rows = [row for row, rule in enumerate(rules) if not rule.is_greedy and rule.cuts == cuts]
        size = max(1, TOGETHER // scores.shape[-1])
        for part in (rows[i : i + size] for i in range(0, len(rows), size)):
            these = scores if len(part) == len(rules) else scores[part]
            drawn = _draw(these, [rules[row] for row in part], [choices[row].noise for row in part])
            for row, token in zip(part, drawn, strict=True):
                tokens[row] = token
    return tokens


def token_logprobs(logits: Tensor, chosen: Sequence[int], k: int) -> list[dict[int, float]]:
    """logits (B, V) and the token chosen in each row -> {token id: log-probability} of the k best, and of the chosen one.

    Natural logarithms of the model's own odds, in float32, before penalties, temperature and cuts (vLLM's default). The best
    comes first, the lowest id among equals; a chosen one that is not among the k comes last.
    """
    logprobs = logits.float().log_softmax(dim=-1)
    ids = torch.tensor(list(chosen), device=logits.device)[:, None]
    k = min(k, logits.shape[-1])
    if k:
        ids = torch.cat((best_ids(logprobs, k), ids), dim=-1)
    values = logprobs.gather(-1, ids)
    return [dict(zip(*row, strict=True)) for row in zip(ids.tolist(), values.tolist(), strict=True)]


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, min_p: float = 0.0
) -> Tensor:
    """logits (..., V) -> probabilities (..., V) float32 after temperature, then min-p, top-k and top-p: what is drawn from.

    Temperature 0 puts everything on the best token, the lowest id among equals. `min_p` keeps tokens at least so many times
    as probable as the best; `top_k` the k best; `top_p` the fewest best whose probability reaches p. Each measures what the
    one before it left. Values are trusted; SamplingParams checks them.
    """
    logits = logits.float()
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).float()
    rows = logits.reshape(-1, logits.shape[-1])
    rules = [Rule(temperature, top_k, top_p, min_p)] * len(rows)
    odds = probabilities(rows, rules)
    if rules and rules[0].cuts:
        left = candidates(rows, odds, rules)
        odds = torch.zeros_like(odds).scatter_add_(-1, left.ids, odds.gather(-1, left.ids) * left.is_kept)
        odds /= odds.sum(dim=-1, keepdim=True)
    return odds.view_as(logits)


def uniform_noise(seed: int, sample: int, position: int) -> float:
    """A number in [0, 1), the same for the same (seed, sample index, position) on every machine.

    Counter-based: a hash of the address, with no state to advance (the idea of Salmon et al., "Parallel Random Numbers: As
    Easy as 1, 2, 3", 2011).
    """
    digest = hashlib.blake2b(f"{seed}/{sample}/{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def sample_token(logits: Tensor, temperature: float, top_k: int | None, top_p: float, noise: float) -> int:
    """logits (V,) and noise in [0, 1) -> a token id: `choose_tokens` for one row, without penalties.

    At temperature 0 the noise is not read.
    """
    rule = Rule(temperature, top_k, top_p)
    return int(logits.argmax()) if rule.is_greedy else _draw(_as_scores(logits)[None], [rule], [noise])[0]


def _as_scores(logits: Tensor) -> Tensor:
    """Scores of 16 bits in float32: temperatures and penalties need the digits."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _best(scores: Tensor) -> tuple[list[int], list[float]]:
    """scores (B, V) -> each row's best token, the lowest id among equals, and its score; NaN is best of all."""
    if scores.device.type != "cpu" or scores.dtype.itemsize < 4:
        values, best = scores.max(dim=-1)
        return best.tolist(), values.tolist()
    # On a processor numpy finds the place of a maximum ten times as fast as torch.
    rows = scores.detach().numpy()
    ids = rows.argmax(axis=-1)
    return ids.tolist(), rows[np.arange(len(rows)), ids].tolist()


def _with_penalties(logits: Tensor, choices: Sequence[Choice]) -> Tensor:
    """-> scores (B, V), a copy if any row has something banned or penalised."""
    scores = _as_scores(logits)
    rows = [row for row, choice in enumerate(choices) if choice.banned or has_penalties(choice.params)]
    if rows and scores is logits:
        scores = scores.clone()
    for row in rows:
        choice = choices[row]
        if choice.banned:
            forbid(scores[row], choice.banned)
        if has_penalties(choice.params):
            counts = choice.counts or TokenCounts(choice.prompt_token_ids)
            penalise(scores[row], choice.params, counts.follow(choice.output_token_ids))
    return scores


def _draw(scores: Tensor, rules: Sequence[Rule], noises: Sequence[float]) -> list[int]:
    """scores (R, V), one rule and one noise a row -> token ids, by inverting the cumulative distribution at the noise.

    Tokens lie in order of id. The rules all cut or all don't.
    """
    odds = probabilities(scores, rules)
    if not rules[0].cuts:
        return _invert(whole(odds), noises)
    ids, is_kept = candidates(scores, odds, rules)
    places = _invert(whole(odds.gather(-1, ids)) * is_kept, noises)
    return ids.gather(-1, torch.tensor(places, device=ids.device)[:, None])[:, 0].tolist()


def _invert(weights: Tensor, noises: Sequence[float]) -> list[int]:
    """weights (R, K) int64 -> for each row the first column whose running total exceeds noise times the row's total."""
    running = weights.cumsum(dim=-1)
    totals = running[:, -1].tolist()
    marks = [[(int(noise * 2**53) * total) >> 53] for noise, total in zip(noises, totals, strict=True)]
    return torch.searchsorted(running, torch.tensor(marks, device=running.device), right=True)[:, 0].tolist()
