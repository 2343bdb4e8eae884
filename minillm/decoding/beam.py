"""Beam search: keep the W best beginnings of a text instead of one, and see which becomes the best whole.

Every step lists the continuations of all that are alive, best first, and walks down the list: one that ends with a stop token
is a finished hypothesis, any other lives on, and the walk stops when W live. No model and no cache are known here; whoever
runs one gives the best continuations of each beam and is told which beams to copy and which to drop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from minillm.decoding.sampling import UnusableScores
from minillm.decoding.support import best_ids
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole

# The best tokens of one beam with their log-probabilities, the best first.
Continuations = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class BeamRules:
    """How a search goes.

    width            beams kept alive, and hypotheses given, at most
    max_tokens       a hypothesis of so many tokens is finished, whatever its last
    length_penalty   a hypothesis scores its log-probability / length**penalty, the stop token counted; 0 favours short texts
    stop_token_ids   tokens that finish a hypothesis

    The search ends as soon as `width` hypotheses have finished, or at max_tokens. So a width of 1 is greedy decoding, and one
    as wide as there are texts is an exhaustive search. Raises InvalidType or InvalidValue when built.
    """

    width: int = 4
    max_tokens: int = 16
    length_penalty: float = 1.0
    stop_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_whole(width=self.width, max_tokens=self.max_tokens)
        _require_penalty(self.length_penalty)
        if isinstance(self.stop_token_ids, str) or not isinstance(self.stop_token_ids, Iterable):
            rule, numbers = "stop_token_ids must be a list of whole numbers", repr(self.stop_token_ids)[:60]
            raise InvalidType(rule_numbers_remedy(rule, numbers, "pass a list of token ids"))
        stops = tuple(self.stop_token_ids)
        for token in stops:
            require_whole(at_least=0, stop_token_id=token)
        object.__setattr__(self, "stop_token_ids", tuple(dict.fromkeys(stops)))

    @property
    def num_continuations(self) -> int:
        """How many of a beam's best tokens a step may have to look at."""
        return self.width + len(self.stop_token_ids)


class Beam(NamedTuple):
    """A text that may go on, and the sum of its tokens' log-probabilities."""

    token_ids: tuple[int, ...] = ()
    logprob: float = 0.0


@dataclass(frozen=True)
class Hypothesis:
    """A finished text: `score` is what hypotheses are compared by, logprob / length**penalty."""

    token_ids: tuple[int, ...]
    score: float
    logprob: float
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class BeamState:
    """A search between two steps. It begins with one empty beam, and is done when none is alive."""

    live: tuple[Beam, ...] = (Beam(),)
    finished: tuple[Hypothesis, ...] = ()

    @property
    def is_done(self) -> bool:
        return not self.live


@dataclass(frozen=True)
class BeamStep:
    """What a step did: live beam i of `state` is beam `parents[i]` of the state before, and `tokens[i]` after it."""

    state: BeamState
    parents: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


def best_continuations(logits: Tensor, rules: BeamRules) -> list[list[tuple[int, float]]]:
    """logits (R, V), one row a beam -> for each the tokens that `advance` may need, with their log-probabilities.

    Raises UnusableScores for rows whose best score is no finite number.
    """
    logprobs = logits.double().log_softmax(dim=-1)
    ids = best_ids(logprobs, min(rules.num_continuations, logits.shape[-1]))
    values = logprobs.gather(-1, ids)
    unusable = [row for row, value in enumerate(values[:, 0].tolist()) if not math.isfinite(value)]
    if unusable:
        raise UnusableScores(unusable)
    return [list(zip(*row, strict=True)) for row in zip(ids.tolist(), values.tolist(), strict=True)]


def advance(state: BeamState, continuations: Sequence[Continuations], rules: BeamRules) -> BeamStep:
    """One step: the best continuations of each live beam -> the next state. Values are trusted.

    Among equal sums the earlier beam goes first, then its better token, then the lower id. A token of log-probability -inf
    is no continuation.
    """
    live: list[Beam] = []
    parents: list[int] = []
    finished = list(state.finished)
    for logprob, parent, token in _in_order(state, continuations):
        if len(live) == rules.width:
            break
        grown = Beam((*state.live[parent].token_ids, token), logprob)
        if token in rules.stop_token_ids:
            finished.append(_hypothesis(grown, "stop", rules))
        else:
            live.append(grown)
            parents.append(parent)
    if live and len(live[0].token_ids) == rules.max_tokens:
        finished += [_hypothesis(beam, "length", rules) for beam in live]
        live = []
    # Sorting keeps the order of equals: who finished first stays first.
    finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[: rules.width]
    if len(finished) == rules.width or not live:
        return BeamStep(BeamState((), tuple(finished)))
    return BeamStep(BeamState(tuple(live), tuple(finished)), parents, [beam.token_ids[-1] for beam in live])


def search_beams(next_logits: Callable[[list[tuple[int, ...]]], Tensor], rules: BeamRules) -> list[Hypothesis]:
    """The whole search, where `next_logits(texts)` scores what follows each text, (R, V) -> hypotheses, the best first."""
    state = BeamState()
    while not state.is_done:
        logits = next_logits([beam.token_ids for beam in state.live])
        state = advance(state, best_continuations(logits, rules), rules).state
    return list(state.finished)


def _in_order(state: BeamState, continuations: Sequence[Continuations]) -> list[tuple[float, int, int]]:
    """Every continuation as (log-probability of the text, parent, token), the best first."""
    grown = [
        (beam.logprob + logprob, parent, token)
        for parent, (beam, tokens) in enumerate(zip(state.live, continuations, strict=True))
        for token, logprob in tokens
        if logprob > float("-inf")
    ]
    return sorted(grown, key=lambda one: -one[0])


def _hypothesis(beam: Beam, reason: Literal["stop", "length"], rules: BeamRules) -> Hypothesis:
    score = beam.logprob / len(beam.token_ids) ** rules.length_penalty
    return Hypothesis(beam.token_ids, score, beam.logprob, reason)


def _require_penalty(length_penalty: float) -> None:
    remedy = "use 1 for the mean log-probability, 0 for the sum"
    if isinstance(length_penalty, bool) or not isinstance(length_penalty, int | float):
        raise InvalidType(rule_numbers_remedy("length_penalty must be a number", repr(length_penalty), remedy))
    if not -10 <= length_penalty <= 10:
        raise InvalidValue(rule_numbers_remedy("length_penalty must lie in -10 … 10", repr(length_penalty), remedy))
