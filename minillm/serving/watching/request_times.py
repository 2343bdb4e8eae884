"""How long a request took, told the way everybody tells it: queue, prefill, decode, TTFT, TPOT, ITL, E2E.

A request arrives, is scheduled for the first time, and is handed tokens until the last. All intervals are differences of
those moments, on one clock. The words mean what `vllm bench serve` means by them. No torch here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_number


@dataclass(frozen=True)
class Phase:
    """A stretch of a request's life, in seconds of its clock."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class RequestTimes:
    """The moments of one request, in seconds of one monotonic clock; None, or an empty tuple, for what never came.

    `scheduled` is the first time it was scheduled, `token_times` has a moment for every token it was handed: tokens of the
    same moment came in one message. `preempted` are the moments it lost its cache; what that cost is part of its decoding.
    Raises InvalidType for what is no moment, InvalidValue when one lies before the one it must follow.
    """

    arrival: float
    scheduled: float | None = None
    token_times: tuple[float, ...] = ()
    request_id: str = ""
    num_prompt_tokens: int = 0
    finish_reason: str | None = None
    preempted: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.token_times, tuple | list):
            rule, remedy = "token_times must be a tuple", "pass a moment for each token"
            raise InvalidType(rule_numbers_remedy(rule, f"{self.token_times!r:.60}", remedy))
        moments = [self.arrival, *(() if self.scheduled is None else (self.scheduled,)), *self.token_times]
        for moment in moments:
            require_number(**{"a moment": moment})
        if not all(math.isfinite(moment) for moment in moments) or any(b < a for a, b in pairwise(moments)):
            rule = "arrival, first scheduling and tokens must follow each other"
            shown = ", ".join(f"{moment:.6g}" for moment in moments[:5])
            raise InvalidValue(rule_numbers_remedy(rule, shown, "read them from one monotonic clock"))
        if self.token_times and self.scheduled is None:
            numbers = f"{len(self.token_times)} tokens and no time of scheduling"
            raise InvalidValue(rule_numbers_remedy("a token comes from a step", numbers, "pass scheduled"))

    @property
    def num_output_tokens(self) -> int:
        """Tokens written."""
        return len(self.token_times)

    @property
    def queue(self) -> float | None:
        """Arrival until first scheduled."""
        return None if self.scheduled is None else self.scheduled - self.arrival

    @property
    def prefill(self) -> float | None:
        """First scheduled until the first token."""
        return self.token_times[0] - self.scheduled if self.token_times and self.scheduled is not None else None

    @property
    def decode(self) -> float | None:
        """First token until the last one: 0 for a text of one token."""
        return self.token_times[-1] - self.token_times[0] if self.token_times else None

    @property
    def inference(self) -> float | None:
        """First scheduled until the last token: prefill and decode."""
        return self.token_times[-1] - self.scheduled if self.token_times and self.scheduled is not None else None

    @property
    def ttft(self) -> float | None:
        """Time to first token, from arrival: what the user waits before anything appears."""
        return self.token_times[0] - self.arrival if self.token_times else None

    @property
    def e2e(self) -> float | None:
        """End to end: arrival until the last token."""
        return self.token_times[-1] - self.arrival if self.token_times else None

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: (E2E - TTFT) / (tokens - 1). A text of one token has none."""
        tokens = len(self.token_times)
        return (self.token_times[-1] - self.token_times[0]) / (tokens - 1) if tokens > 1 else None

    @property
    def itl(self) -> tuple[float, ...]:
        """Inter-token latencies: the gaps between successive messages. Their largest is the stutter that a reader feels."""
        return tuple(b - a for a, b in pairwise(self.token_times) if b > a)

    @property
    def timeline(self) -> tuple[Phase, ...]:
        """Queue, prefill and decode, each beginning where the one before ends, as far as the request came."""
        ends = (self.scheduled, self.token_times[0] if self.token_times else None, *self.token_times[-1:])
        phases, start = [], self.arrival
        for name, end in zip(("queue", "prefill", "decode"), ends, strict=False):
            if end is None:
                break
            phases.append(Phase(name, start, end))
            start = end
        return tuple(phases)
