"""Whoever guesses what comes next, as an engine sees it.

A proposer sees the requests as they are and names up to k tokens for each. Whatever it names, the texts stay what they would
be without it: the engine has the target model check every guess. So a proposer may be wrong, stale, or out of memory, and
then it costs time or says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from minillm.decoding.sampling import Choice
from minillm.serving.request import Request

# How the engine chooses a request's next token, were these guesses already written: its parameters, and that position's noise.
ChoiceOf = Callable[[Request, Sequence[int]], Choice]


class Proposer(Protocol):
    """Anything that guesses."""

    @property
    def k(self) -> int:
        """How many tokens it proposes at most."""

    @property
    def vocab_size(self) -> int | None:
        """What it names lies below this; None where it names only what the text holds."""

    def propose(self, requests: Sequence[Request], k: int, choice_of: ChoiceOf | None = None) -> list[list[int]]:
        """-> up to k tokens for each request, in order; none for whom nothing comes to mind."""

    def forget(self, request: Request) -> None:
        """The request has ended or lost its memory; nothing happens if it was never seen."""


def useful_drafts(request: Request) -> int:
    """How many drafts can be kept at most: the target writes one token itself, and a text ends at its max_tokens."""
    return 0 if request.is_finished else request.max_tokens - request.num_output_tokens - 1
