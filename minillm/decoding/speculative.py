"""Speculation: someone cheap guesses the next few tokens, and the model checks all guesses in one pass.

A pass over k + 1 tokens reads the weights once, as a pass over one token does, so guesses that turn out right are tokens for
almost nothing. Here is what that needs besides the pass: a guesser that only looks the text up in itself, the two rules by
which guesses are accepted, and the arithmetic that says when it pays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class NgramIndex:
    """The last n tokens of a text, looked up in the text itself: where they stood before, what came next is proposed.

    The longest n from `max_ngram` down to `min_ngram` that stood before is taken, and of its places the latest: variables and
    loops are nearer to where they were used last. A proposal that runs into the text's end goes on with itself, so "a b a b"
    proposes "a b" for ever. A token costs `max_ngram − min_ngram + 1` dictionary entries, a proposal at most as many
    look-ups, however long the text. After Saxena, "Prompt Lookup Decoding" (2023), and vLLM's, which take the earliest place.
    """

    def __init__(self, max_ngram: int = 3, min_ngram: int = 1):
        require_whole(max_ngram=max_ngram, min_ngram=min_ngram)
        if min_ngram > max_ngram:
            rule = "min_ngram must be at most max_ngram"
            raise InvalidValue(rule_numbers_remedy(rule, f"{min_ngram} and {max_ngram}", "swap them"))
        self.max_ngram, self.min_ngram = max_ngram, min_ngram
        self.token_ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}  # n-gram -> the position behind its latest place

    def extend(self, token_ids: Sequence[int]) -> None:
        """Append tokens to the text."""
        text = self.token_ids
        for token in token_ids:
            # What the text ends with is entered only now that something follows it, so it is never found at its own place.
            end = len(text)
            for n in range(self.min_ngram, min(self.max_ngram, end) + 1):
                self._after[tuple(text[end - n : end])] = end
            text.append(token)

    def propose(self, k: int) -> list[int]:
        """-> k tokens that may come next, or none: nothing the text ends with stood there before."""
        require_whole(at_least=0, k=k)
        text, end = self.token_ids, len(self.token_ids)
        for n in range(min(self.max_ngram, end), self.min_ngram - 1, -1):
            place = self._after.get(tuple(text[end - n :]))
            if place is not None:
                period = end - place
                return [text[place + i % period] for i in range(k)]
        return []


def ngram_proposal(token_ids: Sequence[int], k: int, max_ngram: int = 3, min_ngram: int = 1) -> list[int]:
    """A whole text -> what `NgramIndex.propose(k)` proposes behind it. For a text that grows, keep the index."""
    index = NgramIndex(max_ngram, min_ngram)
    index.extend(token_ids)
    return index.propose(k)


def accept_same_noise(draft_ids: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """draft_ids (k), and the k + 1 tokens that the target itself chose, each behind the drafts before it -> what is kept.

    Drafts are kept while they are what the target chose; then one more token, the target's own. Each of these was chosen by
    the target's scores behind kept tokens, with that position's noise: the text is the one it would have been without
    drafts, token for token, greedy or sampled. Raises InvalidValue unless there is one more chosen token than drafts.
    """
    if len(chosen) != len(draft_ids) + 1:
        rule = "the target chooses one token behind each draft and one before them all"
        raise InvalidValue(rule_numbers_remedy(rule, f"{len(chosen)} for {len(draft_ids)} drafts", "score them all"))
    kept = next((i for i, draft in enumerate(draft_ids) if draft != chosen[i]), len(draft_ids))
    return list(chosen[: kept + 1])


def likely_choices(probabilities: Tensor, noises: Sequence[float], blur: float) -> list[int]:
    """probabilities (B, V) of a draft and the target's noises (B) -> the tokens that the target, being similar, may well draw.

    At noise u the target takes the token whose stretch of its cumulative distribution holds u. The draft's stretches lie
    elsewhere by all that the two disagree about on the way there, so u is blurred: spread by a logistic of scale
    2 · blur · √(u (1 − u)), widest in the middle, for both distributions begin at 0 and end at 1. The stretch that catches most
    of it is guessed. Little blur gives what the draft would draw itself, much gives its best token. Blurs lie above 0.
    """
    u = torch.tensor(noises, dtype=probabilities.dtype, device=probabilities.device)[:, None]
    scale = (2 * blur * (u * (1 - u)).sqrt()).clamp(min=blur / 100)
    ends = ((probabilities.cumsum(dim=-1) - u) / scale).sigmoid()
    caught = ends.diff(dim=-1, prepend=(-u / scale).sigmoid())
    return caught.argmax(dim=-1).tolist()


def rejection_sample(
    target_probs: Tensor, draft_probs: Tensor, draft_ids: Sequence[int], noises: Sequence[float]
) -> list[int]:
    """target_probs (k + 1, V), draft_probs (k, V), drafts (k) drawn from them, noises (k + 1) in [0, 1) -> 1 … k + 1 tokens.

    Whatever the draft's distributions q are, the tokens are distributed as if drawn from the target's p: draft x is kept with
    probability min(1, p(x) / q(x)); at the first that is not, one token is drawn from what p has more than q, max(0, p − q)
    made to sum to 1, and the rest is dropped. When all are kept a bonus is drawn from p's last row. The first k noises are for
    the verdicts, the last for the one draw. Leviathan et al., "Fast Inference from Transformers via Speculative Decoding"
    (2023); Chen et al., "Accelerating Large Language Model Decoding with Speculative Sampling" (2023).

    Raises InvalidValue for shapes that do not fit, and for a draft that its own distribution excludes.
    """
    _require_shapes(target_probs, draft_probs, draft_ids, noises)
    p, q = target_probs.double(), draft_probs.double()
    for i, (draft, noise) in enumerate(zip(draft_ids, noises, strict=False)):
        if not q[i, draft] > 0:
            rule = "a draft must be drawn from its own distribution"
            raise InvalidValue(
                rule_numbers_remedy(rule, f"draft {i}, which has probability 0", "pass the q it is from")
            )
        if noise * q[i, draft] < p[i, draft]:
            continue
        surplus = (p[i] - q[i]).clamp(min=0)
        # Where p and q are equal but for rounding nothing is left over; p itself is then as right.
        return [*draft_ids[:i], draw(surplus if surplus.sum() > 0 else p[i], noises[-1])]
    return [*draft_ids, draw(p[-1], noises[-1])]


def draw(weights: Tensor, noise: float) -> int:
    """weights (V) ≥ 0, not all zero, and noise in [0, 1) -> a token, by inverting the cumulative distribution."""
    cumulative = weights.double().cumsum(dim=-1)
    token = int(torch.searchsorted(cumulative, noise * cumulative[-1], right=True))
    return min(token, int(weights.nonzero()[-1]))


def expected_tokens(acceptance: float, k: int) -> float:
    """Tokens a target pass gives on average: 1 + a + a² + … + aᵏ, when each draft is kept with probability a.

    Between 1 and k + 1. Leviathan et al. (2023), equation 1. Raises InvalidValue for an acceptance outside 0 … 1.
    """
    _require_number("acceptance", acceptance, 0, 1)
    require_whole(at_least=0, k=k)
    return sum(acceptance**i for i in range(k + 1))


def pass_cost(tokens: int, ridge: float = math.inf) -> float:
    """How long a pass over `tokens` tokens takes, in passes over one: 1 up to the ridge, then in proportion.

    The ridge is how many tokens the chip multiplies through the weights in the time it takes to read them. Keys and values
    are left out.
    """
    require_whole(tokens=tokens)
    _require_number("ridge", ridge, 1, math.inf)
    return max(1.0, tokens / ridge)


def speed_up(acceptance: float, k: int, draft_cost: float, *, batch: int = 1, ridge: float = math.inf) -> float:
    """Time a token without speculation over time a token with it, for `batch` texts written together.

    draft_cost is a draft pass over a target pass of the same batch, 0 for a look-up; k of them and one target pass over
    batch · (k + 1) tokens give `expected_tokens` a text. Below 1 it loses. Leviathan et al. (2023), theorem 3.8, where the
    ridge is out of reach. Raises InvalidType or InvalidValue for numbers out of range.
    """
    require_whole(batch=batch)
    _require_number("draft_cost", draft_cost, 0, math.inf)
    tokens = expected_tokens(acceptance, k)
    verify = pass_cost(batch * (k + 1), ridge) / pass_cost(batch, ridge)
    return tokens / (verify + k * draft_cost)


def _require_number(name: str, value: float, low: float, high: float) -> None:
    rule, remedy = f"{name} must be a number from {low} to {high}", f"use {low} or more"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(rule_numbers_remedy(rule, repr(value), remedy))
    if not low <= value <= high:
        raise InvalidValue(rule_numbers_remedy(rule, repr(value), remedy))


def _require_shapes(p: Tensor, q: Tensor, draft_ids: Sequence[int], noises: Sequence[float]) -> None:
    k = len(draft_ids)
    if p.dim() != 2 or q.dim() != 2 or p.shape != (k + 1, q.shape[1]) or len(q) != k or len(noises) != k + 1:
        rule = f"{k} drafts need target_probs ({k + 1}, V), draft_probs ({k}, V) and {k + 1} noises"
        found = f"{tuple(p.shape)}, {tuple(q.shape)} and {len(noises)}"
        raise InvalidValue(rule_numbers_remedy(rule, found, "score one row behind each draft and one before them all"))
    wrong = [token for token in draft_ids if not 0 <= token < p.shape[1]]
    if wrong:
        rule = f"token ids lie in 0 … {p.shape[1] - 1}"
        raise InvalidValue(rule_numbers_remedy(rule, str(wrong[0]), "share one vocabulary"))
