"""What is answered: finished texts, pieces of a text that is still being written, or that nobody more may wait.

Plain frozen data without torch, so that a trace or a test can hold thousands of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.errors import InvalidValue

FinishReason = Literal["stop", "length", "abort", "error"]


class QueueFull(InvalidValue):
    """As many requests wait as may. Nothing was added; try again when some are done."""


@dataclass(frozen=True)
class CompletionOutput:
    """One text: `token_ids` with its end token if there was one, `text` without it and without the stop string.

    `finish_reason` is None while it is being written. `logprobs`, where asked for, has for each token the natural
    log-probabilities of the best and of the chosen, by id, from the model's scores before anything was done to them;
    `cumulative_logprob` is the sum of the chosen ones.
    """

    index: int
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason | None
    logprobs: tuple[dict[int, float], ...] | None = None
    cumulative_logprob: float | None = None


@dataclass(frozen=True)
class RequestOutput:
    """One prompt and the texts that answer it; `error` says what went wrong where a text's reason is "error".

    `num_cached_tokens` counts the tokens of the prompt that were found computed already.
    """

    prompt: str | None
    prompt_token_ids: tuple[int, ...]
    outputs: tuple[CompletionOutput, ...]
    request_id: str | None = None
    error: str | None = None
    num_cached_tokens: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether every text has ended."""
        return all(o.finish_reason is not None for o in self.outputs)


@dataclass(frozen=True)
class TextChunk:
    """What one step added to a text; the last chunk of a text carries the reason it ended.

    `text` may be empty while a character is incomplete or a stop string may be beginning. Joined, the chunks' texts and ids
    are those that `generate` gives. `index` is which of a request's n texts it belongs to; `error` says what went wrong where
    the reason is "error".
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason | None = None
    index: int = 0
    request_id: str | None = None
    logprobs: tuple[dict[int, float], ...] | None = None
    error: str | None = None
