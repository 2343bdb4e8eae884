"""What is asked and what is answered: sampling parameters, finished texts, and pieces of a text still being written.

Plain frozen data with its rules checked when it is built. No torch here: schedulers are tested on thousands of these a second.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from minillm.errors import InvalidType, InvalidValue, nearest_name, rule_numbers_remedy
from minillm.measure.numbers import require_whole

FinishReason = Literal["stop", "length", "abort", "error"]


@dataclass(frozen=True)
class SamplingParams:
    """How a text is chosen from a model's scores.

    temperature  above 0 flattens or sharpens the choice; 0 is greedy: always the best token
    top_k        keep only the k best tokens; None keeps all
    top_p        keep the fewest best tokens whose probability reaches p, in (0, 1]
    seed         same seed, same text; None draws one when the request is admitted
    stop         a string, or several, that end the text and are cut off it
    ignore_eos   go on past the end token
    max_tokens   how many tokens at most, at least 1

    Raises InvalidType or InvalidValue, when built, stating the rule and a value that would do.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    max_tokens: int = 16

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Iterable[str] | None = (),
        ignore_eos: bool = False,
        max_tokens: int = 16,
        **unknown: Any,
    ):
        if unknown:
            name, known = next(iter(unknown)), [f.name for f in dataclasses.fields(self)]
            raise InvalidType(
                f"SamplingParams has no option {name!r}{nearest_name(name, known)}; known: {', '.join(known)}."
            )
        _number(
            "temperature", temperature, lambda t: t >= 0, "at least 0", "use 0 for greedy, 1 for the model's own odds"
        )
        _number("top_p", top_p, lambda p: 0 < p <= 1, "above 0 and at most 1", "use 1 to keep every token")
        require_whole(max_tokens=max_tokens)
        if top_k is not None:
            require_whole(top_k=top_k)
        if seed is not None:
            require_whole(seed=seed, at_least=0)
        if not isinstance(ignore_eos, bool):
            raise InvalidType(rule_numbers_remedy("ignore_eos must be True or False", repr(ignore_eos), "use a bool"))
        stops = _as_strings(stop)
        if not all(isinstance(s, str) and s for s in stops):
            raise InvalidValue(
                rule_numbers_remedy("stop must be non-empty strings", repr(stop), "leave it out to stop nowhere")
            )
        values = (float(temperature), top_k, float(top_p), seed, stops, ignore_eos, max_tokens)
        for field, value in zip(dataclasses.fields(self), values, strict=True):
            object.__setattr__(self, field.name, value)


@dataclass(frozen=True)
class CompletionOutput:
    """One text: `token_ids` with its end token if there was one, `text` without it and without the stop string."""

    index: int
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason


@dataclass(frozen=True)
class RequestOutput:
    """One prompt and the texts that answer it."""

    prompt: str | None
    prompt_token_ids: tuple[int, ...]
    outputs: tuple[CompletionOutput, ...]


@dataclass(frozen=True)
class TextChunk:
    """What one step added to a streamed text; the last chunk carries the reason it ended.

    `text` may be empty while a character is incomplete or a stop string may be beginning. Joined, the chunks' texts and ids
    are those that `generate` gives.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason | None = None


def _as_strings(stop: Any) -> tuple[Any, ...]:
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) or not isinstance(stop, Iterable) else tuple(stop)


def _number(name: str, value: Any, rule: Any, words: str, remedy: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(rule_numbers_remedy(f"{name} must be a number", repr(value), remedy))
    if not (math.isfinite(value) and rule(value)):
        raise InvalidValue(rule_numbers_remedy(f"{name} must be {words}", repr(value), remedy))
