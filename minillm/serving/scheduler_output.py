"""What one step will do: whose tokens are computed, which blocks are copied first, who came and who had to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from minillm.serving.request import Request


class Share(NamedTuple):
    """One request's part of a step: its tokens at positions start … start + num_tokens − 1 are computed.

    The last `num_drafts` of them are guesses. `samples`: the share reaches the end of what is known, so the model's scores
    at its last num_drafts + 1 tokens choose what follows.
    """

    request: Request
    start: int
    num_tokens: int
    num_drafts: int
    samples: bool

    @property
    def token_ids(self) -> list[int]:
        """The tokens to compute, drafts last."""
        known = self.start + self.num_tokens - self.num_drafts
        return self.request.token_ids[self.start : known] + self.request.draft_token_ids[: self.num_drafts]


@dataclass(frozen=True)
class SchedulerOutput:
    """One step. `admitted` and `preempted` are request ids.

    `copies` are blocks, (source, destination), to be copied before anything is computed, all at once. `num_padding_tokens`
    are computed for nobody: only static batches have them.
    """

    shares: tuple[Share, ...]
    copies: tuple[tuple[int, int], ...]
    admitted: tuple[str, ...]
    preempted: tuple[str, ...]
    num_padding_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        """How many tokens are computed, padding not counted."""
        return sum(share.num_tokens for share in self.shares)
