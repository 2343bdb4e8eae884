"""How a text is to be written: how many answers, how each token is chosen from the scores, and when to stop.

Plain frozen data whose rules are checked when it is built, so nothing downstream ever sees a value that cannot mean
anything. No torch here: schedulers are tested on thousands of these a second.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, nearest_name, rule_numbers_remedy
from minillm.measure.numbers import require_switch, require_whole

MOST_TEXTS = 16_384  # for one prompt, as in vLLM


@dataclass(frozen=True)
class SamplingParams:
    """How a text is chosen from a model's scores. The names are vLLM's.

    temperature         above 0 flattens or sharpens the choice; 0 is greedy: always the best token
    top_k               keep only the k best tokens; None keeps all
    top_p               keep the fewest best tokens whose probability reaches p, in (0, 1]
    seed                same seed, same text; None draws one when the request is admitted
    stop                a string, or several, that end the text and are cut off it
    ignore_eos          go on past the end token
    max_tokens          how many tokens at most, at least 1
    n                   how many texts to write for a prompt, whose blocks they share; at most 16,384
    min_p               keep tokens at least this fraction as probable as the best, in [0, 1]
    presence_penalty    taken off the score of each token that was written before, in [-2, 2]
    frequency_penalty   the same, once for each time it was written, in [-2, 2]
    repetition_penalty  divides the positive scores, and multiplies the negative, of tokens of prompt and text; 1 is off
    stop_token_ids      tokens that end the text as the end token does
    min_tokens          end tokens and stop tokens cannot be chosen, nor stop strings end the text, before so many tokens
    logprobs            for each token, the log-probabilities of this many best and of the chosen one; None for none

    Raises InvalidType or InvalidValue, when built, stating the rule and a value that would do.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    max_tokens: int = 16
    n: int = 1
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    logprobs: int | None = None

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Iterable[str] | None = (),
        ignore_eos: bool = False,
        max_tokens: int = 16,
        *,
        n: int = 1,
        min_p: float = 0.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        repetition_penalty: float = 1.0,
        stop_token_ids: Iterable[int] | None = (),
        min_tokens: int = 0,
        logprobs: int | None = None,
        **unknown: Any,
    ):
        if unknown:
            name, known = next(iter(unknown)), [f.name for f in dataclasses.fields(self)]
            raise InvalidType(
                f"SamplingParams has no option {name!r}{nearest_name(name, known)}; known: {', '.join(known)}."
            )
        require_switch(ignore_eos=ignore_eos)
        _require_small(top_k=top_k, seed=seed, max_tokens=max_tokens, n=n, min_tokens=min_tokens, logprobs=logprobs)
        self._keep(temperature=_temperature(temperature), top_k=_whole_or_none("top_k", top_k, 1))
        self._keep(top_p=_top_p(top_p), min_p=_min_p(min_p), seed=_whole_or_none("seed", seed, 0))
        self._keep(stop=_strings(stop), stop_token_ids=_token_ids(stop_token_ids), ignore_eos=ignore_eos)
        self._keep(presence_penalty=_penalty("presence_penalty", presence_penalty))
        self._keep(frequency_penalty=_penalty("frequency_penalty", frequency_penalty))
        self._keep(repetition_penalty=_repetition(repetition_penalty))
        require_whole(max_tokens=max_tokens, n=n)
        if n > MOST_TEXTS:
            raise InvalidValue(rule_numbers_remedy(f"n must be at most {MOST_TEXTS:,}", f"{n:,}", "ask several times"))
        require_whole(min_tokens=min_tokens, at_least=0)
        if min_tokens > max_tokens:
            rule = f"min_tokens must be at most max_tokens, {max_tokens}"
            raise InvalidValue(rule_numbers_remedy(rule, str(min_tokens), "lower it, or raise max_tokens"))
        self._keep(max_tokens=max_tokens, min_tokens=min_tokens, n=n, logprobs=_whole_or_none("logprobs", logprobs, 0))

    def _keep(self, **values: Any) -> None:
        self.__dict__.update(values)


def _require_small(**values: Any) -> None:
    """Python's whole numbers have no end; those that must be written down, hashed or counted to have one."""
    for name, value in values.items():
        if isinstance(value, int) and value.bit_length() > 63:
            rule, numbers = f"{name} must fit 64 bits", f"a number of {value.bit_length()} bits"
            raise InvalidValue(rule_numbers_remedy(rule, numbers, "use a smaller one"))


def _number(name: str, value: Any, rule: Callable[[float], bool], words: str, remedy: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(rule_numbers_remedy(f"{name} must be a number", repr(value), remedy))
    if abs(value) > sys.float_info.max or not rule(value):  # NaN breaks every rule
        raise InvalidValue(rule_numbers_remedy(f"{name} must be {words}", f"{value!r:.60}", remedy))
    return float(value)


def _temperature(value: Any) -> float:
    remedy = "use 0 for greedy, 1 for the model's own odds"
    return _number("temperature", value, lambda t: t >= 0, "at least 0", remedy)


def _top_p(value: Any) -> float:
    return _number("top_p", value, lambda p: 0 < p <= 1, "above 0 and at most 1", "use 1 to keep every token")


def _min_p(value: Any) -> float:
    return _number("min_p", value, lambda p: 0 <= p <= 1, "between 0 and 1", "use 0 to keep every token")


def _penalty(name: str, value: Any) -> float:
    return _number(name, value, lambda p: -2 <= p <= 2, "between -2 and 2", "use 0 for none")


def _repetition(value: Any) -> float:
    return _number("repetition_penalty", value, lambda p: p > 0, "above 0", "use 1 for none")


def _whole_or_none(name: str, value: Any, at_least: int) -> int | None:
    if value is not None:
        require_whole(at_least=at_least, **{name: value})
    return value


def _strings(stop: Any) -> tuple[str, ...]:
    if stop is None:
        return ()
    stops = (stop,) if isinstance(stop, str) or not isinstance(stop, Iterable) else tuple(stop)
    if not all(isinstance(s, str) and s for s in stops):
        rule, remedy = "stop must be non-empty strings", "leave it out to stop nowhere"
        raise InvalidValue(rule_numbers_remedy(rule, f"{stop!r:.60}", remedy))
    return stops


def _token_ids(ids: Any) -> tuple[int, ...]:
    if ids is None:
        return ()
    rule, remedy = "stop_token_ids must be token ids, whole numbers from 0", "leave it out to stop nowhere"
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidType(rule_numbers_remedy(rule, f"{ids!r:.60}", remedy))
    found = tuple(ids)
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in found):
        raise InvalidType(rule_numbers_remedy(rule, f"{ids!r:.60}", remedy))
    if any(i < 0 for i in found):
        raise InvalidValue(rule_numbers_remedy(rule, f"{ids!r:.60}", remedy))
    return found
