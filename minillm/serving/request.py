"""One text that is being written: what is known of it, how far it is computed, and where its blocks are.

A request knows more tokens than the model has seen: its prompt at first, later the one token that was just chosen. Whatever
it is doing, reading a prompt, writing, or reading all of it again after its memory was taken away, it only has to catch up:
`num_computed_tokens` follows `num_tokens`. So a scheduler needs no phases. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import index
from typing import Literal

from minillm.cache.block_table import BlockTable
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole
from minillm.serving.outputs import FinishReason

Status = Literal["waiting", "running", "finished"]
LARGEST_TOKEN = 2**63 - 1


class Request:
    """A prompt of token ids -> the state of one text; only the scheduler changes it, but for `draft_token_ids`.

    max_tokens        how many tokens to write at most
    min_tokens        before so many, a stop token does not end the text
    stop_token_ids    tokens that end the text, the end token included unless it is to be ignored
    priority          lower goes first, where the scheduler's order is "priority"
    salt              texts with different salts never share blocks that are found again
    arrival_time      in seconds, for whoever measures; the scheduler goes by the order in which requests were added
    parent            a request with the same prompt: once that is computed, this one shares its blocks
    draft_token_ids   guesses at what follows, to be verified in the next step; cut where they do not fit

    Raises InvalidType or InvalidValue, when built, for whatever could not be scheduled anywhere. Names are vLLM's.
    """

    def __init__(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        *,
        max_tokens: int = 16,
        min_tokens: int = 0,
        stop_token_ids: Iterable[int] = (),
        priority: int = 0,
        salt: str | None = None,
        arrival_time: float = 0.0,
        parent: Request | None = None,
    ):
        self.request_id = _name("request_id", request_id)
        self.prompt_token_ids = _tokens("prompt_token_ids", prompt_token_ids)
        if not self.prompt_token_ids:
            raise InvalidValue("a prompt needs at least one token; got an empty one; pass some token ids.")
        require_whole(max_tokens=max_tokens)
        require_whole(at_least=0, min_tokens=min_tokens)
        if min_tokens > max_tokens:
            rule = f"min_tokens must be at most max_tokens, {max_tokens}"
            raise InvalidValue(rule_numbers_remedy(rule, str(min_tokens), "allow more tokens"))
        self.max_tokens, self.min_tokens = max_tokens, min_tokens
        self.stop_token_ids = frozenset(_tokens("stop_token_ids", stop_token_ids))
        self.priority = _whole("priority", priority)
        self.salt = None if salt is None else _name("salt", salt, may_be_empty=True)
        self.arrival_time = _seconds(arrival_time)
        self.parent = _same_prompt(parent, self)

        self.token_ids: list[int] = list(self.prompt_token_ids)
        self.num_computed_tokens = 0
        self.draft_token_ids: list[int] = []
        self.table: BlockTable | None = None
        self.status: Status = "waiting"
        self.finish_reason: FinishReason | None = None
        self.num_cached_tokens = 0  # found, not computed, when it was first admitted
        self.num_preemptions = 0
        self.arrival = -1  # the order of `Scheduler.add`

    @property
    def num_prompt_tokens(self) -> int:
        """How many tokens the prompt has."""
        return len(self.prompt_token_ids)

    @property
    def num_tokens(self) -> int:
        """How many tokens are known: prompt and output, without drafts."""
        return len(self.token_ids)

    @property
    def output_token_ids(self) -> list[int]:
        """The tokens written so far."""
        return self.token_ids[len(self.prompt_token_ids) :]

    @property
    def num_output_tokens(self) -> int:
        """How many tokens were written so far."""
        return len(self.token_ids) - len(self.prompt_token_ids)

    @property
    def is_finished(self) -> bool:
        """Whether the text has ended, for whatever reason."""
        return self.finish_reason is not None

    @property
    def is_prefilling(self) -> bool:
        """Whether more must be computed than the one token that was written last: a prompt, or all after a preemption."""
        return self.num_computed_tokens < max(len(self.prompt_token_ids), len(self.token_ids) - 1)

    @property
    def most_tokens(self) -> int:
        """How many tokens are computed at most; the last one that is written never is."""
        return len(self.prompt_token_ids) + self.max_tokens - 1

    def __repr__(self) -> str:
        ended = f" ({self.finish_reason})" if self.is_finished else ""
        written = f"{self.num_output_tokens} of {self.max_tokens} written"
        return (
            f"Request({self.request_id!r}, {self.status}{ended}, prompt of {self.num_prompt_tokens}, {written}, "
            f"{self.num_computed_tokens} computed)"
        )


def _name(field: str, value: object, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str):
        raise InvalidType(rule_numbers_remedy(f"{field} must be a string", repr(value), "pass a name"))
    if not value and not may_be_empty:
        raise InvalidValue(rule_numbers_remedy(f"{field} must not be empty", repr(value), "pass a name"))
    return value


def _whole(field: str, value: object) -> int:
    if type(value) is not int:
        raise InvalidType(rule_numbers_remedy(f"{field} must be a whole number", repr(value), "pass an int"))
    return value


def _tokens(field: str, values: Iterable[int]) -> tuple[int, ...]:
    """-> plain ints from 0 on, which fit 8 bytes."""
    try:
        if isinstance(values, str | bytes | bytearray):
            raise TypeError
        tokens = tuple(map(index, values))
    except TypeError:
        rule = f"{field} must be whole numbers"
        raise InvalidType(rule_numbers_remedy(rule, f"{values!r:.60}", "pass a list of token ids")) from None
    if tokens and not 0 <= min(tokens) <= max(tokens) <= LARGEST_TOKEN:
        wrong = next(t for t in tokens if not 0 <= t <= LARGEST_TOKEN)
        raise InvalidValue(rule_numbers_remedy(f"{field} count from 0", str(wrong), "pass a tokenizer's ids"))
    return tokens


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(rule_numbers_remedy("arrival_time must be a number", repr(value), "pass seconds"))
    if not math.isfinite(value):
        raise InvalidValue(rule_numbers_remedy("arrival_time must be finite", repr(value), "pass seconds"))
    return float(value)


def _same_prompt(parent: Request | None, child: Request) -> Request | None:
    if parent is None:
        return None
    if not isinstance(parent, Request):
        raise InvalidType(rule_numbers_remedy("parent must be a Request", repr(parent), "pass the first sample's"))
    if parent.prompt_token_ids != child.prompt_token_ids or parent.salt != child.salt:
        rule, numbers = "a request has its parent's prompt and salt", f"another than {parent.request_id!r} has"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, "leave the parent out"))
    return parent
