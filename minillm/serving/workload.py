"""Who comes when, with what: a list of arrivals that every policy is given alike.

A server is judged on a trace: when each request came, how long its prompt was, how much it wanted written. Traces here are
drawn from a seed, so a comparison can be repeated to the last token. Arrivals follow `vllm bench serve`: gaps are gamma
distributed, `burstiness` 1 being a Poisson process, and scaled so that n requests come in n / rate seconds. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_positive, require_whole

VOCABULARY = 2048  # token ids drawn lie in 1 … this - 1; 0 ends a text in the bundled model
MOST_EVEN = 1e9  # a burstiness above it only overflows
Length = int | tuple[int, int]


@dataclass(frozen=True)
class Arrival:
    """A request that comes at `time` (s) with its prompt and has exactly `max_tokens` tokens written.

    Raises InvalidType or InvalidValue for a time that is negative or not finite, an empty prompt, and fewer than one token.
    """

    time: float
    prompt_token_ids: tuple[int, ...] = field(repr=False)
    max_tokens: int = 16
    priority: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.time, bool) or not isinstance(self.time, int | float):
            raise InvalidType(rule_numbers_remedy("time must be a number", repr(self.time), "give seconds"))
        if not 0 <= self.time < math.inf:
            rule = "time must be finite and not negative"
            raise InvalidValue(rule_numbers_remedy(rule, repr(self.time), "count seconds from the first arrival"))
        if not isinstance(self.prompt_token_ids, Iterable) or isinstance(self.prompt_token_ids, str | bytes):
            numbers = repr(self.prompt_token_ids)[:60]
            raise InvalidType(rule_numbers_remedy("a prompt is a list of token ids", numbers, "encode the text"))
        object.__setattr__(self, "prompt_token_ids", tuple(self.prompt_token_ids))
        require_whole(max_tokens=self.max_tokens, **{"the prompt's length": len(self.prompt_token_ids)})

    @property
    def num_prompt_tokens(self) -> int:
        """How long the prompt is."""
        return len(self.prompt_token_ids)


@dataclass(frozen=True)
class Workload:
    """A trace by name: arrivals in the order of their times. Raises InvalidValue for none, InvalidType for other things."""

    name: str
    arrivals: tuple[Arrival, ...]

    def __post_init__(self) -> None:
        arrivals = tuple(self.arrivals) if isinstance(self.arrivals, Iterable) else (self.arrivals,)
        if not all(isinstance(one, Arrival) for one in arrivals):
            rule, numbers = "a workload is made of Arrivals", repr(self.arrivals)[:60]
            raise InvalidType(rule_numbers_remedy(rule, numbers, "use Arrival(time, prompt, n)"))
        if not arrivals:
            raise InvalidValue("a workload needs an arrival; got none; pass a list of Arrival(time, prompt, n).")
        object.__setattr__(self, "arrivals", tuple(sorted(arrivals, key=lambda one: one.time)))

    @property
    def num_prompt_tokens(self) -> int:
        """Prompt tokens of all requests."""
        return sum(one.num_prompt_tokens for one in self.arrivals)

    @property
    def num_output_tokens(self) -> int:
        """Tokens to be written for all requests."""
        return sum(one.max_tokens for one in self.arrivals)

    @property
    def names(self) -> tuple[str, ...]:
        """Each request's name: its own, or else its place in the order of arrival."""
        return tuple(one.name or str(place) for place, one in enumerate(self.arrivals))

    def __len__(self) -> int:
        return len(self.arrivals)

    def __repr__(self) -> str:
        tokens = f"{self.num_prompt_tokens:,} prompt and {self.num_output_tokens:,} output tokens"
        return f"Workload({self.name!r}, {len(self)} requests in {self.arrivals[-1].time:.3g} s, {tokens})"


def bursty(
    rate: float,
    num_requests: int,
    *,
    burstiness: float = 0.2,
    prompt: Length = (16, 256),
    output: Length = (8, 64),
    seed: int | Random = 0,
    name: str = "bursty",
) -> Workload:
    """`rate` requests a second -> a trace whose gaps are gamma distributed; below 1, the smaller `burstiness` the more at once.

    `prompt` and `output` are a length in tokens or the bounds of evenly drawn ones; an infinite rate lets all come at 0.
    Raises InvalidType or InvalidValue for what is out of range.
    """
    draw = _random(seed)
    times = _arrival_times(draw, rate, num_requests, burstiness)
    arrivals = [Arrival(time, _tokens(draw, _drawn(draw, prompt)), _drawn(draw, output)) for time in times]
    return Workload(name, tuple(arrivals))


def poisson(
    rate: float,
    num_requests: int,
    *,
    prompt: Length = (16, 256),
    output: Length = (8, 64),
    seed: int | Random = 0,
) -> Workload:
    """`rate` requests a second, each independent of the others -> a trace; see `bursty`."""
    return bursty(rate, num_requests, burstiness=1.0, prompt=prompt, output=output, seed=seed, name="poisson")


def shared_prefix(
    rate: float,
    num_requests: int,
    *,
    prefix: int = 192,
    groups: int = 2,
    prompt: Length = (8, 64),
    output: Length = (8, 64),
    seed: int | Random = 0,
) -> Workload:
    """A Poisson trace whose prompts begin with one of `groups` texts of `prefix` tokens, as with system prompts; see `bursty`."""
    require_whole(prefix=prefix, groups=groups)
    draw = _random(seed)
    beginnings = [_tokens(draw, prefix) for _ in range(groups)]
    times = _arrival_times(draw, rate, num_requests, 1.0)
    arrivals = [
        Arrival(time, draw.choice(beginnings) + _tokens(draw, _drawn(draw, prompt)), _drawn(draw, output))
        for time in times
    ]
    return Workload("shared prefix", tuple(arrivals))


def long_prompt_intruder(
    *,
    chats: int = 6,
    prompt: Length = (12, 40),
    output: Length = 48,
    intruder: int = 768,
    at: float | Sequence[float] = 0.25,
    seed: int | Random = 0,
) -> Workload:
    """Short chats that are being written, and a long prompt that comes in between `at` a second, or at several; see `bursty`.

    The chats come at 0, named chat 1, chat 2 …; the intruder wants 8 tokens and is named so.
    """
    require_whole(chats=chats, intruder=intruder)
    draw = _random(seed)
    moments = tuple(at) if isinstance(at, Sequence) else (at,)
    arrivals = [
        Arrival(0.0, _tokens(draw, _drawn(draw, prompt)), _drawn(draw, output), name=f"chat {place}")
        for place in range(1, chats + 1)
    ]
    for place, moment in enumerate(moments, start=1):
        called = "intruder" if len(moments) == 1 else f"intruder {place}"
        arrivals.append(Arrival(moment, _tokens(draw, intruder), 8, name=called))
    return Workload("long-prompt intruder", tuple(arrivals))


def _arrival_times(draw: Random, rate: float, count: int, burstiness: float) -> list[float]:
    require_whole(num_requests=count)
    if rate == math.inf:
        return [0.0] * count
    require_positive(rate=rate, burstiness=burstiness)
    if burstiness > MOST_EVEN:
        rule, remedy = f"burstiness must be at most {MOST_EVEN:g}", "gaps are all but equal there"
        raise InvalidValue(rule_numbers_remedy(rule, f"{burstiness:g}", remedy))
    ends = list(accumulate(draw.gammavariate(burstiness, 1.0) for _ in range(count)))
    scale = count / rate / ends[-1] if ends[-1] > 0 else 0.0
    return [end * scale for end in ends]


def _drawn(draw: Random, length: Length) -> int:
    if not isinstance(length, int) and not (isinstance(length, tuple | list) and len(length) == 2):
        rule, remedy = "a length is a whole number, or a pair of bounds", "use 64, or (16, 256)"
        raise InvalidType(rule_numbers_remedy(rule, repr(length)[:60], remedy))
    low, high = (length, length) if isinstance(length, int) else length
    require_whole(low=low, high=high)
    if low > high:
        raise InvalidValue(rule_numbers_remedy("bounds of a length must rise", f"{low} and {high}", "swap them"))
    return draw.randint(low, high)


def _tokens(draw: Random, count: int) -> tuple[int, ...]:
    return tuple(draw.choices(range(1, VOCABULARY), k=count))


def _random(seed: int | Random) -> Random:
    if isinstance(seed, Random):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidType(rule_numbers_remedy("seed must be a whole number or a Random", repr(seed), "use 0, say"))
    return Random(seed)
